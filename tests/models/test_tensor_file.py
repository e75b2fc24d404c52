"""A checkpoint's file: its weights are finite numbers, and it never takes the place of another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from affectstream_models.context.checkpoints import (  # noqa: E402
    load_context_model,
    save_context_model,
)
from affectstream_models.context.network import ContextConfig, ContextNetwork  # noqa: E402
from affectstream_models.tensor_file import CheckpointError, check_target, write  # noqa: E402
from affectstream_models.text.adapter import adapt, merge, save_adapter  # noqa: E402
from affectstream_models.tripathi.checkpoints import (  # noqa: E402
    NetworkDescription,
    load_network,
    save_network,
)
from affectstream_models.tripathi.networks import build_network  # noqa: E402


class Transformer(nn.Module):
    """As much of a transformer as an adapter looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([nn.Linear(4, 4)])})


def write_context(path: Path) -> None:
    torch.manual_seed(0)
    network = ContextNetwork(
        ContextConfig(ngrams=8, words=8, encoder_dim=4, fused_dim=4, hidden_dim=4)
    )
    save_context_model(network, path, id="test", look_ahead=5, trained={}, sure_above=0.5)


def write_network(path: Path) -> None:
    torch.manual_seed(0)
    moments = {"speech": ([0.25] * 34, [1.0] * 34)}
    description = NetworkDescription("speech-3", ("a", "b"), 5, 8, 10, normalisation=moments)
    save_network(description, build_network("speech-3", description.sizes()), path)


def write_adapter(path: Path) -> None:
    save_adapter(adapt(Transformer(), 2), path, trained={})


def load_adapter(path: Path) -> None:
    merge(Transformer(), path)


KINDS = {
    "context": (write_context, load_context_model),
    "tripathi": (write_network, load_network),
    "adapter": (write_adapter, load_adapter),
}


def spoiled(path: Path, value: float) -> list[Path]:
    """Write the checkpoint once for each of its tensors of real numbers, with one value changed."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    files = []
    for name, tensor in load_file(path).items():
        if tensor.is_floating_point() and tensor.numel():
            changed = tensor.clone()
            changed.view(-1)[-1] = value
            files.append(path.with_name(f"{len(files)}.safetensors"))
            save_file({**load_file(path), name: changed}, files[-1], metadata)
    return files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_no_finite_number_is_refused(
    tmp_path: Path, kind: str, value: float
) -> None:
    write_it, load = KINDS[kind]
    write_it(tmp_path / "good.safetensors")
    load(tmp_path / "good.safetensors")
    files = spoiled(tmp_path / "good.safetensors", value)
    assert len(files) >= 2
    for file in files:
        with pytest.raises(CheckpointError, match="not finite numbers"):
            load(file)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("context", '"speaker_prior": "inf"', '"speaker_prior": "nan"'),
        ("context", '"sure_above": 0.5', '"sure_above": NaN'),
        ("context", '"look_ahead": 5', '"look_ahead": -5'),
        ("tripathi", '"normalisation": {"speech": [[0.25', '"normalisation": {"speech": [[NaN'),
    ],
)
def test_a_number_beside_the_weights_that_is_none_is_refused(
    tmp_path: Path, kind: str, old: str, new: str
) -> None:
    write_it, load = KINDS[kind]
    path = tmp_path / "net.safetensors"
    write_it(path)
    with safe_open(path, "pt") as file:
        said = file.metadata()["affectstream"]
    assert old in said
    save_file(load_file(path), path, {"affectstream": said.replace(old, new)})
    with pytest.raises(CheckpointError):
        load(path)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_temperature_that_divides_by_nothing_is_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "net.safetensors"
    write_context(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    changed = {**load_file(path), "temperature": torch.tensor(value)}
    save_file(changed, path, metadata)
    with pytest.raises(CheckpointError, match="temperature"):
        load_context_model(path)


def test_weights_of_a_training_that_diverged_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(CheckpointError, match="was not written: a has values that are not finite"):
        write(path, {"a": torch.tensor([1.0, float("nan")])}, {"format": "x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"my thesis", b"\x02" + bytes(7) + b"{}", b"\xff" * 99])
def test_a_checkpoint_takes_the_place_of_no_other_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    for attempt in (lambda: check_target(path), lambda: write(path, {}, {"format": "x"})):
        with pytest.raises(CheckpointError, match="no checkpoint of ours; name another file"):
            attempt()
    assert path.read_bytes() == content
    for other in (Path(os.devnull), tmp_path):
        with pytest.raises(CheckpointError, match="no checkpoint of ours"):
            check_target(other)
    with pytest.raises(CheckpointError, match="there is no folder"):
        check_target(tmp_path / "nowhere" / "net.safetensors")


def test_a_checkpoint_of_ours_is_written_again_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write(path, {"a": torch.zeros(2)}, {"format": "x"})
    write(path, {"a": torch.ones(2)}, {"format": "x"})
    assert load_file(path)["a"].tolist() == [1.0, 1.0]
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["affectstream"]) == {"format": "x"}
    assert list(tmp_path.iterdir()) == [path]
