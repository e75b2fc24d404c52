"""What is kept does not grow: machines are fed for long, and what they can reach is counted."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable

import pytest

from affectstream.codec import encode
from affectstream.core.delivery import retention
from affectstream.core.delivery.reassembler import Reassembler
from affectstream.core.delivery.retention import LastState, Ring
from affectstream.core.dialogue import aligner, context, revision_book
from affectstream.core.dialogue.revision_book import RevisionBook
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.transcriber import Transcriber
from affectstream.fusion.node import FusionNode
from affectstream.messages import Emotion, StreamClosed
from affectstream.run.virtual_time import JoinedMachine, run_in_virtual_time
from affectstream_tools.bench.load import DialogueLoad
from affectstream_tools.trials.soak.recording import EndlessRecording
from bus_helpers import emotion, progress, transcript
from core.speech.test_transcriber import Scribe
from fakes import FakeModel, S

NOT_OURS = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


def reach(*roots: object) -> int:
    """Return how many objects can be reached, those of classes and modules left out."""
    seen: dict[int, object] = {id(root): root for root in roots}
    waiting = list(roots)
    while waiting:
        for found in gc.get_referents(waiting.pop()):
            if id(found) not in seen and not isinstance(found, NOT_OURS):
                seen[id(found)] = found
                waiting.append(found)
    return len(seen)


def grows(machine: object, feed: Callable[[int], None], steps: int) -> float:
    """Return by how much a machine is larger after twice as long, as a share."""
    for step in range(steps):
        feed(step)
    once = reach(machine)
    for step in range(steps, 2 * steps):
        feed(step)
    return reach(machine) / once - 1


def test_what_grows_is_seen() -> None:
    kept: list[str] = []
    assert grows(kept, lambda step: kept.append(f"text {step}"), 100) > 0.9


@pytest.fixture
def small_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books of what was, full after a few dozen utterances rather than thousands."""
    monkeypatch.setattr(context, "MAX_GONE", 32)
    monkeypatch.setattr(aligner, "MAX_WAITING_UTTERANCES", 32)
    monkeypatch.setattr(revision_book, "MAX_BOOKED", 32)
    monkeypatch.setattr(retention, "MAX_RETAINED_ESTIMATES", 16)


@pytest.mark.usefixtures("small_books")
def test_a_node_does_not_grow_with_its_dialogue_nor_with_silence() -> None:
    node, load = FusionNode(FakeModel(), 4), DialogueLoad("s", seed=0)
    for message in load.opening(S):
        node.receive(message, S)

    def speak(step: int) -> None:
        now_ns = (2 + step) * 3 * S
        for message in load.utterance(now_ns):
            node.receive(message, now_ns)
        assert [*node.wake(now_ns)]

    assert abs(grows(node, speak, 150)) < 0.03

    def be_silent(step: int) -> None:
        now_ns = (1_000 + step) * 3 * S
        for message in load.progress(now_ns):
            node.receive(message, now_ns)
        assert [*node.wake(now_ns)] == []

    be_silent(0)
    assert abs(grows(node, be_silent, 150)) < 0.03


@pytest.mark.usefixtures("small_books")
def test_a_node_does_not_grow_with_the_dialogues_that_it_has_had() -> None:
    node = FusionNode(FakeModel(), 4)

    def live_through(step: int) -> None:
        load, now_ns = DialogueLoad(f"s{step}", seed=step), (1 + step) * 100 * S
        said = []
        for message in [*load.opening(now_ns), *load.utterance(now_ns + 3 * S)]:
            said += node.receive(message, now_ns + 3 * S)
        for source in ("mic.room", "asr.mic.room"):
            closed = StreamClosed(session=load.session, source=source, reason="test")
            node.receive(closed, now_ns + 4 * S)
        said += node.wake(now_ns + 4 * S)
        assert [m for m in said if isinstance(m, Emotion)][-1].status == "final"

    assert abs(grows(node, live_through, 60)) < 0.05


def test_a_microphone_and_a_transcriber_do_not_grow_while_they_listen() -> None:
    from affectstream.sources.speech import speech_segmenter

    segmenter: UtteranceSegmenter = speech_segmenter(
        session="s", speaker="you", start_ns=0, publish_audio=True, clock_id="t"
    )
    transcriber = Transcriber(Scribe, session="s", engine="fake")
    minutes = EndlessRecording(6 / 60, 0.15, seed=0)
    sizes = []
    parts = [
        JoinedMachine(segmenter, inputs=(minutes,)),
        JoinedMachine(transcriber, ("audio/", "utterance.", "stream.", "progress/")),
    ]
    ended = 0
    for message in run_in_virtual_time(parts):
        ended += message.kind == "utterance.ended"
        if message.kind == "transcript" and message.final:  # nobody speaks just now
            sizes.append(reach(segmenter) + reach(transcriber))
    assert ended > 15
    early, late = sizes[len(sizes) // 3 : 2 * len(sizes) // 3], sizes[2 * len(sizes) // 3 :]
    assert max(late) < 1.25 * max(early)


@pytest.mark.usefixtures("small_books")
def test_what_a_subscriber_and_an_outlet_keep_does_not_grow() -> None:
    book, state, ring = RevisionBook(), LastState(), Ring(1 << 16)
    reader = Reassembler(("",), from_start=True)
    counts = {"emotion": 0, "progress": 0, "transcript": 0}

    def publish(step: int) -> None:
        for message in (emotion(step), transcript(step, "fusion"), progress(step, "fusion")):
            numbered = type(message)(
                **{name: getattr(message, name) for name in message.__struct_fields__}
                | {"epoch": 1, "seq": counts[message.kind]}
            )
            counts[message.kind] += 1
            ring.keep(numbered.topic, numbered.seq, encode(numbered))
            state.note(numbered)
            reader.receive(numbered, step)
            if isinstance(numbered, Emotion):
                assert book.accept(numbered)
        for request in reader.requests():  # the history of an outlet that has none
            reader.history(1, request.position, [], None, step)  # type: ignore[union-attr]

    assert abs(grows((book, state, ring, reader), publish, 400)) < 0.03


def test_a_ring_is_bounded_in_what_it_takes_of_memory() -> None:
    import tracemalloc

    ring = Ring(1 << 19)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(3_000):
            message = progress(1_700_000_000_000_000_000 + number)
            ring.keep(message.topic, number, encode(message))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1.3 * ring.max_bytes
