"""The laws, in one place: of finals, of order, of time, of dialogues that do not mix."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from affectstream.commands import replay as replaying
from affectstream.commands.replay import ReplayPlan, play_corpus
from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.normalisation import NOBODY, SpeakerNormaliser
from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusDialogue
from affectstream.corpus.script import CLOCK, ScriptInstant, derived_script
from affectstream.fusion.node import FusionNode
from affectstream.fusion.pretrained import PretrainedModel
from affectstream.messages import Emotion, Message, StreamOpened
from affectstream.show.replay_score import ScoredListener
from derived_copy import write_derived
from fakes import (
    MS,
    FakeModel,
    S,
    check_revisions,
    closed,
    ended,
    finals_of,
    observation,
    opened,
    probabilities,
    progress,
    published,
    speaker_normaliser,
    started,
    transcript,
)

LOOK_AHEADS = [0, 1, 3, 8, None]


# Arrival order


def random_dialogue(rng: random.Random) -> list[AlignedUtterance]:
    """Two or three speakers, each one thing at a time, often at once with others."""
    utterances = []
    for speaker in ("anna", "bert", "carla")[: rng.randint(2, 3)]:
        at_ns = rng.randint(0, 500)
        for number in range(rng.randint(1, 5)):
            end_ns = at_ns + rng.choice([0, 10, 100, 700])
            name = f"{speaker}-{number:04d}"
            features = observation(name, rng.random(), speaker=speaker).values[0]
            utterance = AlignedUtterance(
                name,
                speaker,
                at_ns,
                end_ns,
                observations={"acoustic": features} if rng.random() < 0.8 else {},
                text=f"text {rng.random()}" if rng.random() < 0.8 else None,
            )
            utterances.append(utterance)
            at_ns = end_ns + rng.choice([2, 50, 300])
    return sorted(utterances, key=lambda utterance: utterance.order)


def honest_streams(rng: random.Random, dialogue: list[AlignedUtterance]) -> list[list[Message]]:
    """Each source's messages in an order that it may publish them in."""
    streams: list[list[Message]] = []
    for speaker in sorted({utterance.speaker for utterance in dialogue}):
        heard: list[Message] = []
        said: list[Message] = []
        for u in dialogue:
            if u.speaker != speaker:
                continue
            pieces: list[Message] = [ended(u.id, u.start_ns, u.end_ns, speaker)]
            pieces += [
                observation(u.id, float(values[0]), speaker=speaker)
                for values in u.observations.values()
            ]
            heard.append(started(u.id, u.start_ns, speaker))
            pieces += rng.sample(pieces, rng.randint(0, len(pieces)))  # said twice
            rng.shuffle(pieces)
            mark_ns = u.end_ns + rng.choice([0, 0, 1])
            heard += [*pieces, progress(mark_ns, f"mic.{speaker}")]
            if u.text is not None and rng.random() < 0.5:
                said.append(transcript(u.id, "a guess", final=False, speaker=speaker))
            if u.text is not None:
                said += [transcript(u.id, u.text, speaker=speaker)] * rng.randint(1, 2)
            said.append(progress(mark_ns, f"asr.mic.{speaker}"))
        heard.append(closed(f"mic.{speaker}"))
        said.append(closed(f"asr.mic.{speaker}"))
        streams += [heard, said]
    return streams


def deliver(
    rng: random.Random, streams: list[list[Message]], look_ahead: int | None, model: FakeModel
) -> list[Message]:
    """Interleave the sources at random, at random times within patience."""
    node = FusionNode(model, look_ahead, stopwatch=lambda: 0)
    now_ns = S
    out: list[Message] = []
    for stream in streams:
        source = stream[-1].source
        modality = "text" if source.startswith("asr.") else "speech"
        out += node.receive(opened(source, modality=modality), now_ns)
    queues = [list(stream) for stream in streams]
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        for _ in range(rng.choice([1, 1, 2, 5])):
            if queue:
                out += node.receive(queue.pop(0), now_ns)
        wait_ns = rng.choice([0, 0, 1, 30 * MS, 160 * MS])
        if now_ns + wait_ns < S + 2_900 * MS:  # nobody's patience ends, and nobody is stalled
            now_ns += wait_ns
        if rng.random() < 0.7:
            out += node.wake(now_ns)
    out += node.wake(now_ns)
    assert node.sessions == {}
    return out


@pytest.mark.parametrize("look_ahead", LOOK_AHEADS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_finals_do_not_depend_on_arrival_order_or_on_processing_time(
    look_ahead: int | None, seed: int
) -> None:
    rng = random.Random(seed)
    dialogue = random_dialogue(rng)
    model = FakeModel(rng.choice([None, speaker_normaliser()]))
    offline = model.offline(dialogue, look_ahead)
    reach = len(dialogue) if look_ahead is None else look_ahead
    for _ in range(2):
        out = deliver(rng, honest_streams(rng, dialogue), look_ahead, model)
        check_revisions([item for item in out if isinstance(item, Emotion)])
        finals = finals_of(out)
        assert [finals[u.id].text for u in dialogue] == [u.text for u in dialogue]
        assert [published(finals[u.id]) for u in dialogue] == [probabilities(e) for e in offline]
        seen = [finals[u.id].look_ahead for u in dialogue]
        assert seen == [min(reach, len(dialogue) - 1 - i) for i in range(len(dialogue))]


# Streaming equals offline, with the weights that are shipped


@pytest.fixture(scope="module")
def model() -> PretrainedModel:
    """What is shipped, and whoever speaks is learned as he goes, whatever the checkpoint says."""
    model = PretrainedModel()
    network = model._network
    model.normaliser = SpeakerNormaliser(network.acoustic_mean, network.acoustic_sd, 5.0)
    return model


@pytest.fixture(scope="module")
def corpus(data_folder: Path) -> list[CorpusDialogue]:
    folder = data_folder / "iemocap-derived"
    if not folder.is_dir():
        pytest.skip(f"needs the derived IEMOCAP set in {folder}")
    return read_derived(folder)


def clockless(script: Iterable[ScriptInstant]) -> list[list[Message]]:
    """The script without the stream that drives the clock, so that dialogues share a batch."""
    return [[m for m in instant.messages if m.source != CLOCK] for instant in script]


def play_together(
    model: PretrainedModel,
    dialogues: Sequence[CorpusDialogue],
    look_ahead: int | None,
    *,
    delays_ns: Sequence[int] | None = None,
    wake_every: int = 1,
    round_ns: int = 0,
) -> list[Emotion]:
    """Play dialogues side by side through one node, an instant of each per round."""
    node = FusionNode(model, look_ahead, stopwatch=lambda: 0)
    delays_ns = delays_ns or [0] * len(dialogues)
    scripts = [
        clockless(derived_script(d, delay)) for d, delay in zip(dialogues, delays_ns, strict=True)
    ]
    out: list[Message] = []
    now_ns = S
    for turn in range(max(map(len, scripts))):
        for script in scripts:
            for message in script[turn] if turn < len(script) else ():
                out += node.receive(message, now_ns)
        now_ns += round_ns
        if turn % wake_every == 0:
            out += node.wake(now_ns)
    out += node.wake(now_ns)
    assert node.sessions == {}
    emotions = [item for item in out if isinstance(item, Emotion)]
    assert len(emotions) == len([m for m in out if m.kind == "emotion"])
    return emotions


OFFLINE: dict[tuple[str, int | None], np.ndarray[Any, Any]] = {}
"""What the offline model said of a real dialogue; most of these tests' time goes into it."""


def offline(
    model: PretrainedModel, dialogue: CorpusDialogue, look_ahead: int | None
) -> np.ndarray[Any, Any]:
    """Every probability and mean of every utterance, shape (utterances, n)."""
    from affectstream_models.context.values import UtteranceInputs

    key = (dialogue.id, look_ahead)
    if key in OFFLINE:
        return OFFLINE[key]
    inputs, speakers = [], NOBODY
    for u in dialogue.utterances:
        acoustic = u.acoustic
        if acoustic is not None:
            acoustic, speakers = model.normaliser.carry(speakers, u.speaker, acoustic)
        inputs.append(UtteranceInputs(u.speaker, acoustic, u.text))
    estimates = model._network.offline(inputs, look_ahead, influence=False)
    rows = [
        [*e.categorical, *(v for mean, p in e.dimensional.values() for v in (mean, *p))]
        for e in estimates
    ]
    OFFLINE[key] = np.array(rows, dtype=np.float64)
    return OFFLINE[key]


def streamed(finals: dict[str, Emotion], dialogue: CorpusDialogue) -> np.ndarray[Any, Any]:
    rows = []
    for utterance in dialogue.utterances:
        emotion = finals[utterance.id]
        row = list(emotion.categorical.values())
        for dimension in emotion.dimensional.values():
            row += [dimension.mean, *dimension.levels]
        rows.append(row)
    return np.array(rows)


def assert_equals_offline(
    model: PretrainedModel,
    emotions: list[Emotion],
    dialogues: Sequence[CorpusDialogue],
    look_ahead: int | None,
) -> None:
    finals = finals_of(emotions)
    assert len(finals) == sum(len(d.utterances) for d in dialogues)
    for dialogue in dialogues:
        expected = offline(model, dialogue, look_ahead)
        got = streamed(finals, dialogue)
        means = expected.copy()
        means[:, 4::4] = np.clip(means[:, 4::4], 1.0, 5.0)  # published on the scale
        np.testing.assert_allclose(got, means, atol=1e-5, rtol=0, err_msg=dialogue.id)


@pytest.mark.corpus
@pytest.mark.parametrize(("look_ahead", "wake_every"), [(8, 1), (None, 50)])
def test_finals_of_every_dialogue_equal_the_offline_model(
    model: PretrainedModel,
    corpus: list[CorpusDialogue],
    look_ahead: int | None,
    wake_every: int,
) -> None:
    assert len(corpus) == 151
    emotions = play_together(model, corpus, look_ahead, wake_every=wake_every)
    check_revisions(emotions)
    assert_equals_offline(model, emotions, corpus, look_ahead)


@pytest.mark.corpus
@pytest.mark.parametrize("look_ahead", [8, None])
def test_they_do_too_when_texts_come_late(
    model: PretrainedModel, corpus: list[CorpusDialogue], look_ahead: int | None
) -> None:
    rng = random.Random(4)
    delays_ns = [rng.randint(1_000, 9_000) * MS for _ in corpus]
    emotions = play_together(
        model,
        corpus,
        look_ahead,
        delays_ns=delays_ns,
        round_ns=60 * MS,
        wake_every=2 if look_ahead else 12,
    )
    check_revisions(emotions)
    first = [e for e in emotions if e.status == "provisional"]
    assert sum(e.text is None for e in first) > len(first) / 10  # many went out without their text
    assert_equals_offline(model, emotions, corpus, look_ahead)


@pytest.mark.corpus
def test_they_do_too_when_every_utterance_is_a_step_of_its_own(
    model: PretrainedModel, corpus: list[CorpusDialogue]
) -> None:
    chosen = sorted(corpus, key=lambda d: len(d.utterances))[:3]
    for look_ahead in (0, 3, None):
        emotions = play_together(model, chosen, look_ahead)
        assert_equals_offline(model, emotions, chosen, look_ahead)


@pytest.mark.corpus
def test_dialogues_of_one_batch_are_as_each_alone(
    model: PretrainedModel, corpus: list[CorpusDialogue]
) -> None:
    chosen = corpus[::40]
    together = play_together(model, chosen, 8)
    for dialogue in chosen:
        alone = play_together(model, [dialogue], 8)
        mine = [e for e in together if e.session == dialogue.id]
        assert [(e.utterance, e.revision, e.status) for e in mine] == [
            (e.utterance, e.revision, e.status) for e in alone
        ]
        a, b = np.array([published(e) for e in mine]), np.array([published(e) for e in alone])
        np.testing.assert_allclose(a, b, atol=1.1e-5, rtol=0)


# A replay is the same at any speed


def play_driven(
    model: Any, dialogues: Sequence[CorpusDialogue], delay_ns: int, rng: random.Random
) -> list[Emotion]:
    """Every message at its script's place, at any processing time, in any batches."""
    node = FusionNode(model, 8, stopwatch=lambda: rng.randrange(10**9))
    now_ns = rng.randrange(10**15)
    out: list[Message] = []
    scripts = [derived_script(dialogue, delay_ns) for dialogue in dialogues]
    while scripts:  # several at once, each in its own order
        script = rng.choice(scripts)
        instant = next(script, None)
        if instant is None:
            scripts.remove(script)
            continue
        for message in instant.messages:
            sent = msgspec.structs.replace(message, sent_ns=rng.randrange(10**15))
            out += node.receive(sent, now_ns)
            now_ns += rng.choice([0, 0, 0, 1, 10 * MS, 5 * S])
            if rng.random() < 0.3:
                out += node.wake(now_ns)
    assert node.sessions == {}
    return sorted(
        (item for item in out if isinstance(item, Emotion)),
        key=lambda e: e.session,  # stable: the order within a dialogue is kept
    )


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_derived(tmp_path_factory.mktemp("derived"), utterances=12)


@pytest.mark.parametrize("delay_ms", [0, 120, 900])
def test_every_revision_of_a_replay_is_the_same_at_any_pace(
    model: PretrainedModel, made_up: Path, delay_ms: int
) -> None:
    dialogues = read_derived(made_up)
    runs = [play_driven(model, dialogues, delay_ms * MS, random.Random(i)) for i in range(4)]
    check_revisions(runs[0])
    assert len(runs[0]) > 2 * sum(len(d.utterances) for d in dialogues)
    assert runs[0] == runs[1] == runs[2] == runs[3]
    if delay_ms == 900:
        assert any(e.text is None for e in runs[0] if e.status == "provisional")


def without_envelope(emotion: Emotion) -> Emotion:
    return msgspec.structs.replace(emotion, epoch=0, seq=0, sent_ns=0)


def test_every_revision_is_the_same_through_real_processes_at_any_speed(
    made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = PretrainedModel("replay")  # as the processes have it
    heard: list[Emotion] = []

    class Recorder(ScoredListener):
        def __call__(self, message: Message) -> None:
            if isinstance(message, Emotion):
                heard.append(without_envelope(message))
            super().__call__(message)

    monkeypatch.setattr(replaying, "ScoredListener", Recorder)
    runs = []
    for speed in (float("inf"), 50.0):
        heard.clear()
        plan = ReplayPlan(path=made_up, speed=speed, transcript_delay_ns=400 * MS)
        play_corpus(plan, Console(quiet=True))
        runs.append(list(heard))
    in_process = play_driven(model, read_derived(made_up), 400 * MS, random.Random(0))
    assert runs[0] == runs[1]
    assert runs[0] == [without_envelope(emotion) for emotion in in_process]


# Isolation


@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_dialogue_does_not_hear_of_others(seed: int) -> None:
    rng = random.Random(seed)
    model = FakeModel(speaker_normaliser())
    node = FusionNode(model, 3, stopwatch=lambda: 0)
    dialogues = {f"s{i}": random_dialogue(rng) for i in range(4)}
    queues = []
    for session, dialogue in dialogues.items():
        for stream in honest_streams(rng, dialogue):
            source = stream[-1].source
            mine = [msgspec.structs.replace(message, session=session) for message in stream]
            queues.append(mine)
            modality = "text" if source.startswith("asr.") else "speech"
            node.receive(opened(source, session, modality=modality), S)
    out: list[Message] = []
    while any(queues):
        out += node.receive(rng.choice([q for q in queues if q]).pop(0), S)
        if rng.random() < 0.2:
            out += node.wake(S)
    out += node.wake(S)
    for session, dialogue in dialogues.items():
        finals = finals_of([m for m in out if m.session == session])
        expected = model.offline(dialogue, 3)
        assert [published(finals[u.id]) for u in dialogue] == [probabilities(e) for e in expected]


def test_the_fake_notices_wrong_context() -> None:
    """The tests above mean something: any other order, text or neighbour is another estimate."""
    rng = random.Random(1)
    dialogue = random_dialogue(rng)
    truth = [probabilities(e) for e in FakeModel().offline(dialogue, None)]
    swapped = [dialogue[1], dialogue[0], *dialogue[2:]]
    changed = [*dialogue[:-1], replace(dialogue[-1], text="other")]
    for wrong in (swapped, changed):
        other = [probabilities(e) for e in FakeModel().offline(wrong, None)]
        assert all(a != b for a, b in zip(truth, other, strict=True))
    assert isinstance(opened(), StreamOpened)
