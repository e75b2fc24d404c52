"""The context model as a stream and as a whole dialogue must agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affectstream_models.context.checkpoints import (
    load_context_model,
    load_pretrained,
    save_context_model,
)
from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.network import ContextConfig, ContextNetwork
from affectstream_models.context.values import (
    CONTEXT_CLASSES,
    Encoded,
    ForwardState,
    UtteranceEstimate,
    UtteranceInputs,
)
from affectstream_models.tensor_file import CheckpointError
from affectstream_models.text.word_encoder import count_ngrams, text_tokens, word_table

WORDS = ["i", "you", "we", "love", "hate", "what", "why", "no", "yes", "happy", "sad", "great"]


class Lengths:
    """A sentence encoder that knows how long a text is, and little else."""

    name = "lengths"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [[len(t), t.count("e"), t.count(" "), len(t) % 3, 1.0] for t in texts]
        return np.array(rows, dtype=np.float32) / 9


VARIANTS: dict[str, dict[str, Any]] = {
    "LSTMs alone": {},
    "memories, clusters, sentences": {
        "memory": (3.0, 12.0),
        "clusters": (3, 5),
        "sentence_dim": 5,
    },
}


def make_network(*, members: int = 2, seed: int = 0, **sizes: Any) -> ContextNetwork:
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    hashes = count_ngrams([f"{a} {b}" for a in WORDS for b in WORDS], least=1)
    word_hashes, vectors = word_table({w: rng.normal(size=6).tolist() for w in WORDS[:9]})
    vectors = vectors.astype(np.float16).astype(np.float32)
    config = ContextConfig(
        ngrams=len(hashes),
        words=len(word_hashes),
        word_dim=6,
        ngram_dim=8,
        text_dim=11,
        evidence_dim=7,
        encoder_dim=12,
        fused_dim=10,
        hidden_dim=14,
        head_dim=9,
        members=members,
        **sizes,
    )
    network = ContextNetwork(config)
    for member in network.networks():  # larger than at birth, so that nothing is nearly uniform
        for parameter in member.parameters():
            parameter.data.mul_(2.0)
        table = member.ngram_table.weight.data
        table.copy_(table.to(torch.float16).to(torch.float32))
    sd = rng.uniform(0.5, 2, size=47).astype(np.float32)
    network.set_tables(hashes, word_hashes, vectors, np.zeros(47, dtype=np.float32), sd)
    network.temperature.fill_(1.3)
    return network


def make_model(**options: Any) -> StreamingContextModel:
    sentences = Lengths() if options.get("sentence_dim") else None
    return StreamingContextModel(
        make_network(**options), id="test", sha256="0" * 64, sentences=sentences
    )


def make_dialogue(length: int, seed: int) -> list[UtteranceInputs]:
    """Speakers, words and statistics at random; each modality is absent now and then."""
    rng = np.random.default_rng(seed)
    return [
        UtteranceInputs(
            speaker=str(rng.choice(["A", "B", "C"])),
            acoustic=None if rng.random() < 0.3 else rng.normal(size=47).astype(np.float32),
            text=None if rng.random() < 0.3 else " ".join(rng.choice(WORDS, rng.integers(0, 9))),
        )
        for _ in range(length)
    ]


def stream(
    model: StreamingContextModel, dialogues: Sequence[Sequence[UtteranceInputs]], look_ahead: int
) -> tuple[list[list[UtteranceEstimate]], list[list[UtteranceEstimate]]]:
    """Play dialogues side by side, one utterance of each per round: provisionals and finals."""
    windows: list[list[tuple[ForwardState, Encoded, ForwardState]]] = [[] for _ in dialogues]
    latest = [model.initial_state() for _ in dialogues]
    provisional: list[list[UtteranceEstimate]] = [[] for _ in dialogues]
    final: list[list[UtteranceEstimate]] = [[] for _ in dialogues]
    for turn in range(max(len(dialogue) for dialogue in dialogues)):
        live = [i for i, dialogue in enumerate(dialogues) if turn < len(dialogue)]
        encoded = model.encode([dialogues[i][turn] for i in live])
        after = model.advance([latest[i] for i in live], [[one] for one in encoded])
        for i, one, (state,) in zip(live, encoded, after, strict=True):
            windows[i].append((latest[i], one, state))
            latest[i] = state
        for i, estimates in zip(live, model.estimate([windows[i] for i in live]), strict=True):
            provisional[i].append(estimates[-1])
            if turn == len(dialogues[i]) - 1:
                final[i].extend(estimates)
            elif len(windows[i]) > look_ahead:
                final[i].append(estimates[0])
                del windows[i][0]
    return provisional, final


def assert_same(left: Sequence[UtteranceEstimate], right: Sequence[UtteranceEstimate]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a.categorical, b.categorical, atol=1e-5)
        assert a.influence.keys() == b.influence.keys()
        for name, value in a.influence.items():
            assert value == pytest.approx(b.influence[name], abs=1e-5)
        for scale, (mean, levels) in a.dimensional.items():
            assert mean == pytest.approx(b.dimensional[scale][0], abs=1e-5)
            np.testing.assert_allclose(levels, b.dimensional[scale][1], atol=1e-5)
        assert a.clusters.keys() == b.clusters.keys()
        for name, found in a.clusters.items():
            np.testing.assert_allclose(found, b.clusters[name], atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("look_ahead", [0, 1, 8, 1000])
def test_finals_of_a_stream_equal_the_offline_model_with_the_same_look_ahead(
    look_ahead: int, variant: str
) -> None:
    model = make_model(**VARIANTS[variant])
    dialogues = [make_dialogue(length, seed) for seed, length in enumerate([1, 13, 2, 24, 9])]
    provisional, final = stream(model, dialogues, look_ahead)
    for dialogue, first, last in zip(dialogues, provisional, final, strict=True):
        assert_same(last, model.offline(dialogue, look_ahead))
        assert_same(first, model.offline(dialogue, 0))


def test_unbounded_look_ahead_is_the_whole_dialogue() -> None:
    model, dialogue = make_model(), make_dialogue(17, seed=3)
    assert_same(model.offline(dialogue, None), model.offline(dialogue, 17))
    _, (final,) = stream(model, [dialogue], 17)
    assert_same(final, model.offline(dialogue, None))


@pytest.mark.parametrize("variant", VARIANTS)
def test_later_utterances_change_an_estimate(variant: str) -> None:
    model, dialogue = make_model(**VARIANTS[variant]), make_dialogue(12, seed=5)
    early, late = model.offline(dialogue, 0), model.offline(dialogue, None)
    assert all(
        np.abs(a.categorical - b.categorical).max() > 1e-4
        for a, b in zip(early[:-1], late[:-1], strict=True)
    )
    np.testing.assert_allclose(early[-1].categorical, late[-1].categorical, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_dialogues_do_not_disturb_one_another_in_a_batch(variant: str) -> None:
    model = make_model(**VARIANTS[variant])
    dialogues = [make_dialogue(length, seed) for seed, length in enumerate([7, 0, 3, 11] * 4)]
    encoded = [model.encode(dialogue) for dialogue in dialogues]
    start = model.initial_state()
    together = model.advance([start] * 16, encoded)
    windows = [
        list(zip([start, *states], chain, states, strict=False))
        for states, chain in zip(together, encoded, strict=True)
    ]
    batched = model.estimate(windows)
    for chain, states, window, estimates in zip(encoded, together, windows, batched, strict=True):
        (alone,) = model.advance([start], [chain])
        for one, other in zip(states, alone, strict=True):
            torch.testing.assert_close(one.hidden, other.hidden, atol=1e-6, rtol=0)
            torch.testing.assert_close(one.cell, other.cell, atol=1e-6, rtol=0)
            assert one.speaker == other.speaker
        assert_same(estimates, model.estimate([window])[0])


def test_a_chain_in_pieces_equals_a_chain_at_once() -> None:
    model = make_model()
    encoded = model.encode(make_dialogue(10, seed=1))
    (whole,) = model.advance([model.initial_state()], [encoded])
    (first,) = model.advance([model.initial_state()], [encoded[:4]])
    (second,) = model.advance([first[-1]], [encoded[4:]])
    for one, other in zip(whole, [*first, *second], strict=True):
        torch.testing.assert_close(one.hidden, other.hidden, atol=1e-6, rtol=0)


def test_an_empty_call_gives_an_empty_answer() -> None:
    model = make_model()
    assert model.encode([]) == []
    assert model.offline([], None) == []
    assert model.advance([model.initial_state()], [[]]) == [[]]
    assert model.estimate([[], []]) == [[], []]
    assert model.advance([], []) == []
    assert model.estimate([]) == []


def test_estimates_are_probabilities_and_means_on_the_scale() -> None:
    for estimate in make_model().offline(make_dialogue(8, seed=2), 8):
        assert estimate.categorical.shape == (len(CONTEXT_CLASSES),)
        assert estimate.categorical.sum() == pytest.approx(1, abs=1e-5)
        assert set(estimate.dimensional) == {"valence", "activation", "dominance"}
        for mean, levels in estimate.dimensional.values():
            assert 1 <= mean <= 5
            assert levels.sum() == pytest.approx(1, abs=1e-5)
        assert all(0 <= value <= 1 for value in estimate.influence.values())
        assert estimate.clusters == {}


def test_clusters_are_told_by_their_number() -> None:
    for estimate in make_model(clusters=(3, 5)).offline(make_dialogue(4, seed=2), 8):
        assert {name: len(found) for name, found in estimate.clusters.items()} == {"3": 3, "5": 5}
        assert all(f.sum() == pytest.approx(1, abs=1e-5) for f in estimate.clusters.values())


def test_absent_modalities_have_no_influence_and_no_variant() -> None:
    model, statistics = make_model(), np.ones(47, dtype=np.float32)
    both, heard, read, nothing, blank = model.encode(
        [
            UtteranceInputs("A", statistics, "i love you"),
            UtteranceInputs("A", statistics, None),
            UtteranceInputs("A", None, "i love you"),
            UtteranceInputs("A"),
            UtteranceInputs("A", None, " ... "),
        ]
    )
    assert [set(one.without) for one in (both, heard, read, nothing, blank)] == [
        {"acoustic", "text"},
        {"acoustic"},
        {"text"},
        set(),
        set(),
    ]
    torch.testing.assert_close(both.without["acoustic"], read.fused)
    torch.testing.assert_close(both.without["text"], heard.fused)
    torch.testing.assert_close(read.without["text"], nothing.fused)
    torch.testing.assert_close(blank.fused, nothing.fused)
    (estimate,) = model.offline([UtteranceInputs("A")], 0)
    assert estimate.influence == {}


def test_influence_is_the_distance_to_the_estimate_without_the_modality() -> None:
    model, dialogue = make_model(), make_dialogue(6, seed=4)
    dialogue[3] = UtteranceInputs("A", np.ones(47, dtype=np.float32), "why no yes")
    masked = [*dialogue[:3], UtteranceInputs("A", None, "why no yes"), *dialogue[4:]]
    full, without = model.offline(dialogue, 2)[3], model.offline(masked, 2)[3]
    expected = 0.5 * np.abs(full.categorical - without.categorical).sum()
    assert full.influence["acoustic"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_of_speakers_carry_no_information(variant: str) -> None:
    model, dialogue = make_model(**VARIANTS[variant]), make_dialogue(9, seed=6)
    names = {"A": "Ses01F", "B": "zoe", "C": "x"}
    renamed = [UtteranceInputs(names[u.speaker], u.acoustic, u.text) for u in dialogue]
    assert_same(model.offline(dialogue, 4), model.offline(renamed, 4))


def test_statistics_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(47,\)"):
        make_model().encode([UtteranceInputs("A", np.ones(46, dtype=np.float32))])


def test_a_saved_model_says_the_same_after_loading(tmp_path: Path) -> None:
    network = make_network(memory=(3.0,), clusters=(3, 4))
    path = tmp_path / "model.safetensors"
    options = {"id": "test", "look_ahead": 5, "speaker_prior": 6.0, "sure_above": 0.4}
    sha256 = save_context_model(
        network, path, **options, trained_speakers=["a/1"], trained={"seed": 0}
    )
    loaded = load_context_model(path)
    assert loaded.sha256 == sha256
    assert {name: getattr(loaded, name) for name in options} == options
    assert loaded.trained_speakers == ("a/1",)
    dialogue = make_dialogue(8, seed=7)
    before = StreamingContextModel(network, id="test", sha256=sha256)
    assert_same(loaded.offline(dialogue, 8), before.offline(dialogue, 8))
    again = save_context_model(
        network, path, **options, trained_speakers=["a/1"], trained={"seed": 0}
    )
    assert again == sha256


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(CheckpointError, match="cannot read"):
        load_context_model(path)
    path.write_bytes(b"\x80\x04nothing of ours")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_context_model(path)
    with pytest.raises(CheckpointError, match="replay"):
        load_pretrained("no such model")


def test_tokens_are_words_marks_and_questions() -> None:
    assert text_tokens("Don\N{RIGHT SINGLE QUOTATION MARK}t go! [LAUGHTER] Why?") == [
        "don't",
        "go",
        "!",
        "[laughter]",
        "why",
        "?",
    ]


def test_the_pretrained_model_tells_joy_from_anger() -> None:
    model = load_pretrained()
    assert len(model.sha256) == 64
    said = ["i'm so happy for you, that's amazing! [laughter]", "what the hell is wrong with you?"]
    joy, anger = (model.offline([UtteranceInputs("A", None, text)], 8)[0] for text in said)
    assert CONTEXT_CLASSES[joy.categorical.argmax()] == "happiness"
    assert CONTEXT_CLASSES[anger.categorical.argmax()] == "anger"
    assert joy.dimensional["valence"][0] > anger.dimensional["valence"][0]


def test_a_checkpoint_whose_header_lies_is_refused_before_room_is_made(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_context_model(make_network(), path, id="test", look_ahead=5, trained={})
    content = path.read_bytes()
    for old, new in (
        (b'\\"hidden_dim\\": ', b'\\"hidden_dim\\": 99999'),
        (b'\\"id\\": ', b'\\"no\\": '),
    ):
        assert old in content
        size = int.from_bytes(content[:8], "little")
        header = content[8 : 8 + size].replace(old, new)
        path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
        with pytest.raises(CheckpointError, match="not a checkpoint") as refused:
            load_context_model(path)
        assert len(str(refused.value).splitlines()) == 1
