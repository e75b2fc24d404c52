"""The open window, the snapshots and the revisions, with a model that notices any wrong context."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectstream.core.dialogue import context as module
from affectstream.core.dialogue.aligned import AlignedUtterance, Change
from affectstream.core.dialogue.context import DialogueContext
from affectstream.core.dialogue.emotions import Stamp
from affectstream.core.dialogue.step import ContextStep
from affectstream.messages import Emotion
from fakes import FakeModel, check_revisions, probabilities, published, speaker_normaliser


def utterance(i: int, text: str | None = "text", speaker: str = "anna") -> AlignedUtterance:
    return AlignedUtterance(
        id=f"u{i}", speaker=speaker, start_ns=100 * i, end_ns=100 * i + 90, text=text
    )


def step(model: FakeModel, *dialogues: DialogueContext) -> list[Emotion]:
    return stepped(model, Stamp(model.identity), *dialogues)


def stepped(model: FakeModel, stamp: Stamp, *dialogues: DialogueContext) -> list[Emotion]:
    """What a step says, in order: what somebody waits for, then what is revised."""
    step = ContextStep(dialogues, model)
    emotions = [e for d in dialogues for e in step.say_first(d, stamp)]
    step.revise()
    return emotions + [e for d in dialogues for e in step.say_rest(d, stamp)]


def put(model: FakeModel, dialogue: DialogueContext, *changes: Change) -> list[Emotion]:
    for change in changes:
        dialogue.receive(change)
    return step(model, dialogue)


def close(model: FakeModel, dialogue: DialogueContext) -> list[Emotion]:
    dialogue.close()
    return step(model, dialogue)


@pytest.mark.parametrize("look_ahead", [0, 1, 3, 8, None])
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_finals_equal_the_offline_model_with_the_same_look_ahead(
    look_ahead: int | None, count: int
) -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), look_ahead)
    utterances = [utterance(i, f"text {i}") for i in range(count)]
    said = [e for u in utterances for e in put(model, dialogue, Change(u, complete=True))]
    said += close(model, dialogue)
    check_revisions(said)
    finals = [e for e in said if e.status == "final"]
    assert [e.utterance for e in finals] == [u.id for u in utterances]
    offline = model.offline(utterances, look_ahead)
    assert [published(e) for e in finals] == [probabilities(e) for e in offline]
    reach = count if look_ahead is None else look_ahead
    assert [e.look_ahead for e in finals] == [min(reach, count - 1 - i) for i in range(count)]


@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2, 5, None]))
def test_finals_do_not_depend_on_the_order_of_news(seed: int, look_ahead: int | None) -> None:
    """Utterances come, change and become complete in any order, several per step."""
    rng = random.Random(seed)
    model = FakeModel()
    utterances = [utterance(i, f"text {i}") for i in range(9)]
    dialogue = DialogueContext("s1", model.initial_state(), look_ahead)
    news = []
    for i, whole in enumerate(utterances):
        news += [(i, Change(replace(whole, text=None))), (i, Change(whole))]
    # Any order of first news; an utterance is complete only once all before it are there.
    rng.shuffle(news)
    seen: set[int] = set()
    known: dict[int, AlignedUtterance] = {}
    said: list[Emotion] = []
    completed = 0
    for i, change in news:
        if i in seen and change.utterance.text is None:
            continue  # evidence is never taken back
        seen.add(i)
        known[i] = change.utterance
        dialogue.receive(change)
        while completed in known and known[completed] == utterances[completed]:
            if len(known) < 9:
                break  # a watermark passes only when all that end before have come
            dialogue.receive(Change(utterances[completed], complete=True))
            completed += 1
        if rng.random() < 0.6:
            said += step(model, dialogue)
    said += step(model, dialogue) + close(model, dialogue)
    check_revisions(said)
    finals = {e.utterance: published(e) for e in said if e.status == "final"}
    offline = model.offline(utterances, look_ahead)
    assert finals == {u.id: probabilities(e) for u, e in zip(utterances, offline, strict=True)}


def test_a_late_text_revises_every_utterance_that_can_see_it_and_no_other() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 2)
    for i in range(6):
        put(model, dialogue, Change(utterance(i, None if i == 3 else "text")))
    said = put(model, dialogue, Change(utterance(3, "late")))
    assert [e.utterance for e in said] == ["u1", "u2", "u3", "u4", "u5"]
    assert {e.status for e in said} == {"revised"}
    offline = model.offline([utterance(i, "late" if i == 3 else "text") for i in range(6)], 2)
    assert [published(e) for e in said] == [probabilities(e) for e in offline[1:]]


def test_news_that_says_nothing_new_is_no_revision() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    put(model, dialogue, Change(utterance(0)))
    batches = model.batches
    assert put(model, dialogue, Change(utterance(0))) == []
    assert put(model, dialogue, Change(utterance(0), complete=True)) == []
    assert model.batches == batches


def test_the_first_estimate_of_an_utterance_is_said_before_revisions_of_others() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    put(model, dialogue, Change(utterance(0)), Change(utterance(1)))
    said = put(model, dialogue, Change(utterance(2)))
    assert [(e.utterance, e.status) for e in said] == [
        ("u2", "provisional"),
        ("u0", "revised"),
        ("u1", "revised"),
    ]


def test_an_utterance_is_final_once_it_all_before_it_and_l_after_it_are_complete() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 1)
    put(model, dialogue, Change(utterance(0)), Change(utterance(1), complete=True))
    said = put(model, dialogue, Change(utterance(2), complete=True))
    assert "final" not in {e.status for e in said}
    said = put(model, dialogue, Change(utterance(0), complete=True))
    assert [(e.utterance, e.status) for e in said] == [("u0", "final"), ("u1", "final")]
    assert len(dialogue.utterances) == 1


def test_without_look_ahead_a_complete_utterance_is_final_at_once() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 0)
    (emotion,) = put(model, dialogue, Change(utterance(0), complete=True))
    assert (emotion.status, emotion.revision) == ("final", 0)


def test_partials_see_what_came_before_and_leave_no_trace() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    put(model, dialogue, Change(utterance(0)))
    said = put(model, dialogue, Change(utterance(1, "I th"), partial=True))
    assert [(e.utterance, e.status, e.revision) for e in said] == [("u1", "partial", 0)]
    expected = model.offline([utterance(0), utterance(1, "I th")], 0)[1]
    assert published(said[0]) == probabilities(expected)
    said = put(model, dialogue, Change(utterance(1, "I think"), partial=True))
    assert [(e.status, e.revision) for e in said] == [("partial", 1)]
    said = put(model, dialogue, Change(utterance(1, "I think so")))
    assert [(e.utterance, e.status, e.revision) for e in said] == [
        ("u1", "provisional", 2),
        ("u0", "revised", 1),
    ]
    offline = model.offline([utterance(0), utterance(1, "I think so")], None)
    assert [published(e) for e in said] == [probabilities(e) for e in offline[::-1]]


def test_two_who_speak_at_once_both_have_partials() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    one, other = utterance(0, "I"), utterance(1, "you", "bert")
    said = put(model, dialogue, Change(one, partial=True), Change(other, partial=True))
    assert [(e.utterance, e.status) for e in said] == [("u0", "partial"), ("u1", "partial")]
    assert published(said[0]) == probabilities(model.offline([one], 0)[0])
    assert published(said[1]) == probabilities(model.offline([other], 0)[0])


def test_the_cost_of_an_utterance_does_not_grow_with_the_dialogue() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 3)
    for i in range(300):
        put(model, dialogue, Change(utterance(i), complete=True))
    assert model.encoded == model.advanced == 300
    assert len(dialogue.utterances) == 3


def test_many_dialogues_are_one_batch_and_do_not_mix() -> None:
    model = FakeModel()
    names = ("s1", "s2", "s3")
    dialogues = {name: DialogueContext(name, model.initial_state(), None) for name in names}
    texts = {name: [utterance(i, f"{name} {i}") for i in range(4)] for name in names}
    said: list[Emotion] = []
    for i in range(4):
        for name, dialogue in dialogues.items():
            dialogue.receive(Change(texts[name][i]))
        said += step(model, *dialogues.values())
    assert model.batches == 1 + 3 * 2  # the first alone, then the newest and the windows
    for name, dialogue in dialogues.items():
        finals = close(model, dialogue)
        offline = model.offline(texts[name], None)
        assert [published(e) for e in finals] == [probabilities(e) for e in offline]


def test_memory_is_bounded_however_the_utterances_end() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 2)
    for i in range(10_000):
        put(model, dialogue, Change(utterance(2 * i), partial=True))  # these never end
        put(model, dialogue, Change(utterance(2 * i + 1), complete=True))
    assert len(dialogue.utterances) == 2
    assert dialogue.ongoing == []
    assert len(dialogue._partial_revisions) <= module.MAX_GONE
    assert len(dialogue._gone) <= module.MAX_GONE


def test_too_many_open_utterances_become_final_and_stay_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 10)
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 2)
    said = [e for i in range(50) for e in put(model, dialogue, Change(utterance(i)))]
    assert len(dialogue.utterances) <= 12
    said += put(model, dialogue, Change(utterance(0, "far too late"), complete=True))
    assert dialogue.late == 1
    said += close(model, dialogue)
    check_revisions(said)
    assert sum(e.status == "final" for e in said) == 50


def spoken(i: int, fill: float, speaker: str = "anna") -> AlignedUtterance:
    values = np.full(47, fill, np.float32)
    return replace(utterance(i, None, speaker), observations={"acoustic": values})


def test_speakers_are_normalised_in_the_dialogues_order_whenever_news_comes() -> None:
    """An utterance that comes late is among those that later ones are normalised by."""
    said = [spoken(i, 0.1 * i, "ab"[i % 2]) for i in range(8)]
    model = FakeModel(speaker_normaliser())
    offline = [probabilities(e) for e in model.offline(said, None)]
    assert offline != [probabilities(e) for e in FakeModel().offline(said, None)]
    for first in (0, 3, 7):
        dialogue = DialogueContext("s1", model.initial_state(), None)
        for u in said[:first] + said[first + 1 :] + [said[first]]:
            put(model, dialogue, Change(u, complete=True))
        finals = {e.utterance: e for e in close(model, dialogue) if e.status == "final"}
        assert [published(finals[u.id]) for u in said] == offline


def test_only_what_is_normalised_otherwise_is_encoded_again() -> None:
    model = FakeModel(speaker_normaliser())
    dialogue = DialogueContext("s1", model.initial_state(), None)
    for i in range(6):
        put(model, dialogue, Change(spoken(i, 0.1 * i, "ab"[i % 2])))
    assert model.encoded == 6
    put(model, dialogue, Change(spoken(2, 0.9, "a")))
    assert model.encoded == 8  # itself and the one later utterance of the same speaker
    put(model, dialogue, Change(replace(spoken(1, 0.1, "b"), text="now with a text")))
    assert model.encoded == 9


def test_statistics_outlive_the_window() -> None:
    """What has become final still counts for the speaker."""
    model = FakeModel(speaker_normaliser())
    said = [spoken(i, 0.1 * i) for i in range(12)]
    dialogue = DialogueContext("s1", model.initial_state(), 1)
    out = [e for u in said for e in put(model, dialogue, Change(u, complete=True))]
    finals = [e for e in out + close(model, dialogue) if e.status == "final"]
    assert [published(e) for e in finals] == [probabilities(e) for e in model.offline(said, 1)]


def test_a_partial_is_normalised_with_itself_and_leaves_no_trace() -> None:
    model = FakeModel(speaker_normaliser())
    said = [spoken(i, 0.1 * i) for i in range(3)]
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    put(model, dialogue, Change(said[0]), Change(said[1]))
    for _ in range(2):  # the second says the same: the first was not counted
        (partial,) = put(model, dialogue, Change(said[2], partial=True))
        assert published(partial) == probabilities(model.offline(said, 0)[2])


def test_frames_are_there_when_an_utterance_is_encoded_again() -> None:
    model = FakeModel(speaker_normaliser())
    said = [replace(spoken(i, 0.1), frames={"mocap": np.full((3, 2), i)}) for i in range(3)]
    dialogue = DialogueContext("s1", model.initial_state(), None)
    for u in said[1:] + said[:1]:
        put(model, dialogue, Change(u))
    finals = [e for e in close(model, dialogue) if e.status == "final"]
    assert [published(e) for e in finals] == [probabilities(e) for e in model.offline(said, None)]


@pytest.mark.parametrize(("sure_above", "sure"), [(0.0, True), (0.26, True), (1.0, False)])
def test_an_estimate_says_whether_it_is_sure(sure_above: float, sure: bool) -> None:
    model = FakeModel(sure_above=sure_above)
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    dialogue.receive(Change(utterance(0)))
    (emotion,) = stepped(model, Stamp(model.identity, sure_above=model.sure_above), dialogue)
    assert emotion.sure is sure
    assert emotion.categorical[emotion.label] == max(emotion.categorical.values())


def test_the_latency_of_a_provisional_estimate_is_split_and_never_negative() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    dialogue.receive(Change(replace(utterance(0), announced_ns=5_000_000, sent_ns=9_000_000)))
    (emotion,) = stepped(model, Stamp(model.identity, 8_000_000, {"model": 1.5}), dialogue)
    assert emotion.latency_ms == {"model": 1.5, "wait": 3.0, "wire": 0.0}


def test_everything_the_model_says_is_published() -> None:
    model = FakeModel()
    dialogue = DialogueContext("s1", model.initial_state(), 8)
    (emotion,) = put(model, dialogue, Change(utterance(0, "hello")))
    estimate = model.offline([utterance(0, "hello")], 0)[0]
    mean, levels = estimate.dimensional["valence"]
    assert emotion.dimensional["valence"].mean == round(mean, 6)
    assert emotion.dimensional["valence"].levels == tuple(round(float(p), 6) for p in levels)
    assert emotion.modalities["text"] == round(estimate.influence["text"], 6)
    assert emotion.text == "hello"
    assert emotion.model == model.identity
    assert (emotion.start_ns, emotion.end_ns, emotion.speaker) == (0, 90, "anna")
