"""Every model of both papers passes one suite: shapes, seeds, kept and read again, masks, GPU.

A model is anything that answers a batch with a row of numbers for each sample. What only one kind
of model has is tested in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("hmmlearn")

import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from affectstream_models.tripathi.networks import NETWORKS, NetworkSizes, build_network
from affectstream_models.woellmer.hmm_classifiers import (
    HmmClassifier,
    HmmLanguageModelClassifier,
)
from affectstream_models.woellmer.networks import DialogueLstm
from affectstream_models.woellmer.svm_classifier import SvmClassifier

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLES, UTTERANCES, COLUMNS, CLASSES, WORDS = 4, 5, 6, 3, 20
Inputs = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """How one model is made and asked.

    Attributes:
        make: by a seed, ready to answer.
        empty: one that has learnt nothing, to read what another has.
        inputs: by a seed.
        outputs: the shape of an answer.
        answer: what it says of inputs.
        masked: inputs changed where they do not count, and what counts of the answer.
    """

    make: Callable[[int], Any]
    empty: Callable[[], Any]
    inputs: Callable[[int], Inputs]
    outputs: tuple[int, ...]
    answer: Callable[[Any, Inputs], np.ndarray]
    drawn: bool = True
    on_gpu: bool = True
    masked: Callable[[Inputs], tuple[Inputs, Inputs, Any]] | None = None


def of_network(network: nn.Module, inputs: Inputs) -> np.ndarray:
    with torch.inference_mode():
        logits: Tensor = network(**inputs)
    return logits.cpu().numpy()


def of_classifier(classifier: Any, inputs: Inputs) -> np.ndarray:
    return np.stack([classifier.predict_proba(dialogue) for dialogue in inputs["dialogues"]])


def tripathi(name: str) -> Model:
    spec = NETWORKS[name]
    generator = torch.Generator().manual_seed(7)
    sizes = NetworkSizes(
        frames=5,
        length=8,
        rows=10,
        vocabulary=WORDS,
        vectors=torch.randn(WORDS, 300, generator=generator),
    )

    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return build_network(name, sizes).eval()

    def inputs(seed: int) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        first, last = spec.columns or (0, 189)
        every = {
            "speech": torch.randn(SAMPLES, 5, 34, generator=generator),
            "tokens": torch.randint(1, WORDS, (SAMPLES, 8), generator=generator),
            "mocap": torch.randn(SAMPLES, 10, 189, generator=generator)[..., first:last],
        }
        return {argument: every[argument] for argument in spec.inputs}

    def masked(given: Inputs) -> tuple[Inputs, Inputs, Any]:
        masks = {f"{argument}_mask": torch.ones(SAMPLES, 1) for argument in given}
        masks["tokens_mask"][0] = 0
        other = given["tokens"].clone()
        other[0] = other[0] % (WORDS - 1) + 1
        return {**given, **masks}, {**given, **masks, "tokens": other}, slice(None)

    several = masked if len(spec.inputs) > 1 else None
    return Model(make, lambda: make(9), inputs, (SAMPLES, 4), of_network, masked=several)


def woellmer(*, bidirectional: bool) -> Model:
    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return DialogueLstm(COLUMNS, CLASSES, cells=8, bidirectional=bidirectional).eval()

    def inputs(seed: int) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        return {"functionals": torch.randn(SAMPLES, UTTERANCES, COLUMNS, generator=generator)}

    def masked(given: Inputs) -> tuple[Inputs, Inputs, Any]:
        mask = torch.arange(UTTERANCES) < torch.tensor([2, 5, 1, 3]).unsqueeze(1)
        other = torch.where(mask.unsqueeze(2), given["functionals"], torch.tensor(9.0))
        return {**given, "mask": mask}, {"functionals": other, "mask": mask}, slice(None)

    outputs = (SAMPLES, UTTERANCES, CLASSES)
    return Model(make, lambda: make(9), inputs, outputs, of_network, masked=masked)


def classical(kind: Callable[..., Any], *, frames: bool, drawn: bool) -> Model:
    def inputs(seed: int) -> Inputs:
        random = np.random.default_rng(seed)
        size = (UTTERANCES, 4, COLUMNS) if frames else (UTTERANCES, COLUMNS)
        dialogues = [random.normal(size=size) for _ in range(SAMPLES)]
        labels = [np.arange(UTTERANCES) % CLASSES for _ in range(SAMPLES)]
        for rows, own in zip(dialogues, labels, strict=True):
            rows += np.eye(CLASSES, COLUMNS)[own].reshape(UTTERANCES, *(1,) * frames, COLUMNS)
        return {"dialogues": dialogues, "labels": labels}

    def make(seed: int) -> Any:
        given = inputs(1)
        options = {"seed": seed, "iterations": 2} if drawn else {}
        return kind(CLASSES, **options).fit(given["dialogues"], given["labels"])

    def masked(given: Inputs) -> tuple[Inputs, Inputs, Any]:
        # What an utterance alone is judged by is not its neighbours.
        other = [np.concatenate((rows[:2], rows[2:] + 1)) for rows in given["dialogues"]]
        return given, {"dialogues": other}, (slice(None), slice(2))

    outputs = (SAMPLES, UTTERANCES, CLASSES)
    alone = masked if kind is not HmmLanguageModelClassifier else None
    return Model(make, lambda: kind(CLASSES), inputs, outputs, of_classifier, drawn, False, alone)


MODELS: Mapping[str, Model] = {
    **{name: tripathi(name) for name in sorted(NETWORKS)},
    "lstm": woellmer(bidirectional=False),
    "blstm": woellmer(bidirectional=True),
    "hmm": classical(HmmClassifier, frames=True, drawn=True),
    "hmm-lm": classical(HmmLanguageModelClassifier, frames=True, drawn=True),
    "svm": classical(SvmClassifier, frames=False, drawn=False),
}
DRAWN = [name for name, model in MODELS.items() if model.drawn]
MASKED = [name for name, model in MODELS.items() if model.masked]
ON_GPU = [name for name, model in MODELS.items() if model.on_gpu]


@pytest.mark.parametrize("name", MODELS)
def test_each_sample_has_finite_numbers_for_every_class(name: str) -> None:
    model = MODELS[name]
    answer = model.answer(model.make(0), model.inputs(2))
    assert answer.shape == model.outputs
    assert np.isfinite(answer).all()
    assert (answer != model.answer(model.make(0), model.inputs(3))).any()


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_is_the_same_model_to_the_bit(name: str) -> None:
    model, inputs = MODELS[name], MODELS[name].inputs(2)
    one, same = (model.answer(model.make(3), inputs) for _ in range(2))
    np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize("name", DRAWN)
def test_another_seed_is_another_model(name: str) -> None:
    model = MODELS[name]
    one, other = (model.make(seed) for seed in (3, 4))
    states = [{k: np.asarray(v) for k, v in each.state_dict().items()} for each in (one, other)]
    assert any((states[0][key] != states[1][key]).any() for key in states[0])


@pytest.mark.parametrize("name", MODELS)
def test_to_answer_changes_neither_model_nor_inputs(name: str) -> None:
    model = MODELS[name]
    asked, inputs, kept = model.make(0), model.inputs(2), model.inputs(2)
    first = model.answer(asked, inputs)
    np.testing.assert_array_equal(model.answer(asked, inputs), first)
    for key, given in inputs.items():
        np.testing.assert_array_equal(np.asarray(given), np.asarray(kept[key]))


@pytest.mark.parametrize("name", MODELS)
def test_kept_as_safetensors_and_read_again_it_says_the_same(name: str, tmp_path: Path) -> None:
    model, inputs = MODELS[name], MODELS[name].inputs(2)
    learnt, other = model.make(0), model.empty()
    arrays = {key: np.ascontiguousarray(rows) for key, rows in learnt.state_dict().items()}
    save_file(arrays, tmp_path / "model.safetensors")
    read: dict[str, Any] = load_file(tmp_path / "model.safetensors")
    if isinstance(other, nn.Module):
        read = {key: torch.from_numpy(rows) for key, rows in read.items()}
    other.load_state_dict(read)
    np.testing.assert_array_equal(model.answer(other, inputs), model.answer(learnt, inputs))


@pytest.mark.parametrize("name", MASKED)
def test_what_does_not_count_changes_nothing(name: str) -> None:
    model = MODELS[name]
    assert model.masked is not None
    here, there, counts = model.masked(model.inputs(2))
    asked = model.make(0)
    one, other = (model.answer(asked, given)[counts] for given in (here, there))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ON_GPU)
def test_a_gpu_says_what_the_processor_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU: torch finds none on this machine")
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
        monkeypatch.setattr(backend, "allow_tf32", False)
    model = MODELS[name]
    asked, inputs = model.make(0), model.inputs(2)
    expected = model.answer(asked, inputs)
    there = {argument: rows.cuda() for argument, rows in inputs.items()}
    found = model.answer(asked.cuda(), there)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
