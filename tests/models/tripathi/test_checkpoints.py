"""Checkpoints of the networks of Tripathi and Beigi: what goes in comes out, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from affectstream_models.tensor_file import CheckpointError
from affectstream_models.tripathi.checkpoints import NetworkDescription, load_network, save_network
from affectstream_models.tripathi.networks import NETWORKS, build_network

CLASSES = ("anger", "excitement", "neutral", "sadness")
WORDS = ("you", "i", "are", "never")
NAMES = ("speech-3", "text-1", "text-3", "mocap-hand-2", "text-speech-mocap-4")


def described(name: str) -> NetworkDescription:
    network = NETWORKS[name]
    with_text = "tokens" in network.inputs
    return NetworkDescription(
        name=name,
        classes=CLASSES,
        frames=5,
        length=8,
        rows=10,
        vocabulary=WORDS if with_text else (),
        vectors="glove.json, sha256 0123" if network.embedding == "glove" else "",
        dimensions=7 if network.embedding == "glove" else 0,
        normalisation={"speech": ([0.25] * 34, [1 / 3] * 34)} if "speech" in network.inputs else {},
        trained={"seed": 3},
    )


def made(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(name, described(name).sizes()).eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_network_comes_back_with_all_that_it_must_be_given(
    name: str, tmp_path: Path
) -> None:
    network, description = made(name), described(name)
    sha256 = save_network(description, network, tmp_path / "net.safetensors")
    found = load_network(tmp_path / "net.safetensors")
    assert found.description == description
    assert found.sha256 == sha256
    assert not found.network.training
    states = network.state_dict(), found.network.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for file in files:
        save_network(described("text-3"), made("text-3"), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_words_have_the_numbers_that_follow_padding_and_unknown() -> None:
    assert described("text-3").numbers() == {"you": 2, "i": 3, "are": 4, "never": 5}
    assert described("text-3").sizes().words() == 6
    assert described("text-1").sizes().glove().shape == (6, 7)


def test_what_is_no_such_checkpoint_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
        load_network(tmp_path / "missing.safetensors")
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"\x80\x04pickled")
    with pytest.raises(CheckpointError, match=r"not a checkpoint of format .*train it again"):
        load_network(other)
    save_file({"a": torch.zeros(1)}, other, {"affectstream": json.dumps({"format": "x"})})
    with pytest.raises(CheckpointError, match="its format is 'x'"):
        load_network(other)


def test_a_network_that_does_not_exist_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    save_network(replace(described("speech-3"), name="speech-9"), made("speech-3"), file)
    with pytest.raises(CheckpointError, match="no network 'speech-9'"):
        load_network(file)
    save_network(replace(described("speech-3"), frames=6), made("speech-3"), file)
    with pytest.raises(CheckpointError, match="size mismatch"):
        load_network(file)
