"""Hand-written fakes that the tests of the machines share.

``FakeModel`` is a context model whose estimate of an utterance is a digest of everything that it
saw: one wrong byte of context, evidence or order gives another estimate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.normalisation import NOBODY, SpeakerNormaliser
from affectstream.messages import (
    Emotion,
    Message,
    ModelIdentity,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS

MS = NS_PER_MS
S = 1_000 * MS


@dataclass(frozen=True)
class FakeEstimate:
    categorical: NDArray[np.float32]
    dimensional: Mapping[str, tuple[float, NDArray[np.float32]]]
    clusters: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    influence: Mapping[str, float] = field(default_factory=dict)


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def estimate_of(seen: str) -> FakeEstimate:
    """Probabilities that only this digest has."""
    raw = np.frombuffer(bytes.fromhex(seen), dtype="<u4").astype(np.float64) / 2**32
    categorical = (raw[:4] + 0.01) / (raw[:4] + 0.01).sum()
    levels = (raw[4:7] + 0.01) / (raw[4:7] + 0.01).sum()
    return FakeEstimate(
        categorical.astype(np.float32),
        {"valence": (1 + 4 * float(raw[7]), levels.astype(np.float32))},
        influence={"text": float(raw[0])},
    )


class FakeModel:
    """Exact in the sense of the module's docstring; counts what it was asked for."""

    identity = ModelIdentity(id="fake", sha256="0" * 64)
    frame_modalities = frozenset({"mocap"})

    def __init__(
        self, normaliser: SpeakerNormaliser | None = None, sure_above: float = 0.0
    ) -> None:
        self.normaliser, self.sure_above = normaliser, sure_above
        self.encoded = 0
        self.advanced = 0
        self.batches = 0

    def pack(self, value: Any) -> bytes:
        if isinstance(value, FakeEstimate):
            levels = {n: (mean, p.tolist()) for n, (mean, p) in value.dimensional.items()}
            value = (value.categorical.tolist(), levels, dict(value.influence))
        return msgspec.msgpack.encode(value)

    def unpack(self, packed: bytes) -> Any:
        value = msgspec.msgpack.decode(packed)
        if isinstance(value, str):
            return value
        categorical, levels, influence = value
        return FakeEstimate(
            np.array(categorical, np.float32),
            {name: (mean, np.array(p, np.float32)) for name, (mean, p) in levels.items()},
            influence=influence,
        )

    def initial_state(self) -> str:
        return "start"

    def encode(self, utterances: Sequence[AlignedUtterance]) -> Sequence[str]:
        self.encoded += len(utterances)
        return [encode(utterance) for utterance in utterances]

    def advance(
        self, states: Sequence[str], chains: Sequence[Sequence[str]]
    ) -> Sequence[Sequence[str]]:
        results = []
        for state, chain in zip(states, chains, strict=True):
            afters = []
            for encoded in chain:
                state = digest(state, encoded)
                afters.append(state)
            self.advanced += len(chain)
            results.append(afters)
        return results

    def estimate(
        self, windows: Sequence[Sequence[tuple[Any, Any, Any]]]
    ) -> Sequence[Sequence[FakeEstimate]]:
        self.batches += 1
        results = []
        for window in windows:
            backward, estimates = "end", []
            for before, encoded, after in reversed(window):
                backward = digest(backward, encoded)
                estimates.append(estimate_of(digest(before, after, backward)))
            results.append(estimates[::-1])
        return results

    def offline(
        self, dialogue: Sequence[AlignedUtterance], look_ahead: int | None
    ) -> list[FakeEstimate]:
        """The whole dialogue at once: what the finals must equal."""
        encoded = [encode(utterance) for utterance in normalised(dialogue, self.normaliser)]
        (afters,) = self.advance([self.initial_state()], [encoded])
        befores = [self.initial_state(), *afters]
        results = []
        for i in range(len(dialogue)):
            last = len(dialogue) if look_ahead is None else i + look_ahead + 1
            window = list(zip(befores[i:last], encoded[i:last], afters[i:last], strict=False))
            results.append(self.estimate([window])[0][0])
        return results


def normalised(
    dialogue: Sequence[AlignedUtterance], normaliser: SpeakerNormaliser | None
) -> list[AlignedUtterance]:
    """Each utterance by the speaker's up to it, in the dialogue's order."""
    if normaliser is None:
        return list(dialogue)
    given, speakers = [], NOBODY
    for utterance in dialogue:
        seen = dict(utterance.observations)
        if "acoustic" in seen:
            seen["acoustic"], speakers = normaliser.carry(
                speakers, utterance.speaker, seen["acoustic"]
            )
        given.append(replace(utterance, observations=seen))
    return given


def speaker_normaliser(prior_utterances: float = 2.0) -> SpeakerNormaliser:
    """For the statistics that ``observation`` makes: 47, about 0 to 1."""
    return SpeakerNormaliser(np.full(47, 0.5), np.full(47, 0.3), prior_utterances)


def encode(utterance: AlignedUtterance) -> str:
    return digest(
        utterance.id,
        utterance.speaker,
        utterance.text,
        sorted((name, value.tobytes()) for name, value in utterance.observations.items()),
        sorted((name, value.tobytes()) for name, value in utterance.frames.items()),
    )


def probabilities(estimate: FakeEstimate) -> list[float]:
    """As they are published."""
    return [round(float(p), 6) for p in estimate.categorical]


def published(emotion: Emotion) -> list[float]:
    return list(emotion.categorical.values())


class FakeFrontEnd:
    """Real enough: frames of 60 ms every 10 ms, each row known ``delay`` frames late.

    The last column counts the run's frames, the others are the level and samples of the frame.
    """

    names = (*(f"c{i}" for i in range(23)), "count")
    hop_samples = 160

    def __init__(self, delay: int = 40) -> None:
        self._delay = delay
        self._samples = np.zeros(0, np.int16)
        self._given = 0

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        self._samples = np.concatenate([self._samples, samples])
        return self._rows(self._complete() - self._delay)

    def finish(self) -> NDArray[np.float32]:
        return self._rows(self._complete())

    def _complete(self) -> int:
        return max(0, (len(self._samples) - 960) // 160 + 1)

    def _rows(self, until: int) -> NDArray[np.float32]:
        rows = []
        for number in range(self._given, until):
            frame = self._samples[160 * number : 160 * number + 960].astype(np.float32)
            rows.append([np.abs(frame).mean(), *frame[:22], number])
        self._given = max(self._given, until)
        return np.array(rows, np.float32).reshape(-1, 24)


# Messages


def opened(
    source: str = "mic.anna",
    session: str = "s1",
    *,
    modality: Any = "speech",
    start_ns: int = 0,
    drives_clock: bool = False,
) -> StreamOpened:
    return StreamOpened(
        session=session,
        source=source,
        modality=modality,
        start_ns=start_ns,
        drives_clock=drives_clock,
    )


def closed(source: str = "mic.anna", session: str = "s1") -> StreamClosed:
    return StreamClosed(session=session, source=source, reason="end of the test")


def progress(
    watermark_ns: int, source: str = "mic.anna", session: str = "s1", now_ns: int | None = None
) -> Progress:
    return Progress(session=session, source=source, watermark_ns=watermark_ns, now_ns=now_ns)


def started(
    utterance: str, start_ns: int, speaker: str = "anna", session: str = "s1"
) -> UtteranceStarted:
    return UtteranceStarted(
        session=session,
        source=f"mic.{speaker}",
        utterance=utterance,
        speaker=speaker,
        start_ns=start_ns,
    )


def ended(
    utterance: str, start_ns: int, end_ns: int, speaker: str = "anna", session: str = "s1"
) -> UtteranceEnded:
    return UtteranceEnded(
        session=session,
        source=f"mic.{speaker}",
        utterance=utterance,
        speaker=speaker,
        start_ns=start_ns,
        end_ns=end_ns,
    )


def transcript(
    utterance: str,
    text: str,
    *,
    final: bool = True,
    speaker: str = "anna",
    session: str = "s1",
    source: str | None = None,
) -> Transcript:
    return Transcript(
        session=session,
        source=source or f"asr.mic.{speaker}",
        utterance=utterance,
        speaker=speaker,
        text=text,
        start_ns=0,
        end_ns=0,
        final=final,
        engine="test",
    )


def observation(
    utterance: str,
    fill: float = 1.0,
    *,
    speaker: str = "anna",
    session: str = "s1",
    columns: int = 47,
    rows: int = 1,
    front_end: str = "egemaps47",
    modality: str = "acoustic",
) -> Observation:
    values = np.full((rows, columns), fill, dtype="<f4")
    return Observation(
        session=session,
        source=f"mic.{speaker}",
        utterance=utterance,
        speaker=speaker,
        start_ns=0,
        end_ns=0,
        modality=modality,
        front_end=front_end,
        rows=rows,
        columns=columns,
        payload=values.tobytes(),
    )


class Driver:
    """Advances a machine's clock by hand, waking it exactly when it asks to be woken."""

    def __init__(self, machine: Any, now_ns: int = 0) -> None:
        self.machine, self.now_ns = machine, now_ns
        self.said: list[tuple[int, Any]] = []

    def give(self, *messages: Message) -> list[Any]:
        """Deliver messages now, then wake, as the loop does."""
        out: list[Any] = []
        for message in messages:
            out += self.machine.receive(message, self.now_ns) or []
        out += self.machine.wake(self.now_ns)
        self.said += [(self.now_ns, item) for item in out]
        return out

    def until(self, then_ns: int) -> list[tuple[int, Any]]:
        """Let time pass to ``then_ns``; a machine that asks to be woken at once again spins."""
        out: list[tuple[int, Any]] = []
        while (wake_ns := self.machine.next_wake_ns()) is not None and wake_ns <= then_ns:
            assert wake_ns > self.now_ns or not out, "it spins"
            self.now_ns = max(self.now_ns, wake_ns)
            out += [(self.now_ns, item) for item in self.machine.wake(self.now_ns)]
            later_ns = self.machine.next_wake_ns()
            assert later_ns is None or later_ns > self.now_ns, "it spins"
        self.now_ns = then_ns
        self.said += out
        return out


def check_revisions(emotions: Sequence[Emotion]) -> None:
    """(utterance, revision) strictly increases; final is once and last; partials come first."""
    latest: dict[tuple[str, str], Emotion] = {}
    for emotion in emotions:
        key = (emotion.session, emotion.utterance)
        before = latest.get(key)
        if before is None:
            assert emotion.revision == 0, emotion
        else:
            assert emotion.revision == before.revision + 1, (before, emotion)
            assert before.status != "final", (before, emotion)
            if emotion.status == "partial":
                assert before.status == "partial", (before, emotion)
            if emotion.status == "provisional":
                assert before.status == "partial", (before, emotion)
        latest[key] = emotion


def finals_of(said: Sequence[Any]) -> dict[str, Emotion]:
    finals: dict[str, Emotion] = {}
    for item in said:
        if isinstance(item, Emotion) and item.status == "final":
            assert item.utterance not in finals
            finals[item.utterance] = item
    return finals
