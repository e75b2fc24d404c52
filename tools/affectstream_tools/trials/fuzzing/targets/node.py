"""Fuzzes the fusion node: messages that the codec accepts, in any order.

A good dialogue runs beside them; its finals must be those of a node that has it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from affectstream.codec import DecodeError, decode, encode
from affectstream.core.dialogue.model import ContextModel
from affectstream.fusion.node import FusionNode
from affectstream.messages import Emotion, Message
from affectstream.timebase import NS_PER_MS, NS_PER_S
from affectstream_tools.bench.load import DialogueLoad
from affectstream_tools.trials.fuzzing.frames import FrameSpoiler
from affectstream_tools.trials.fuzzing.messages import MessageMaker
from affectstream_tools.trials.fuzzing.runs import FuzzCase
from affectstream_tools.trials.fuzzing.targets.good_stream import GOOD_SESSION
from affectstream_tools.trials.fuzzing.targets.light_model import LightModel

_BEGIN_NS = 1_700_000_000 * NS_PER_S
_TOLERANCE = 1e-5  # an estimate's last digits depend on who else is in the batch


class NodeTarget:
    """The fusion node: messages that the codec accepts, in any order and without sense."""

    stateful = True
    wake_every = 8
    good_every = 100

    def __init__(self, model: ContextModel | None = None, look_ahead: int = 8) -> None:
        tried: ContextModel = LightModel() if model is None else model
        self._node = FusionNode(tried, look_ahead, stopwatch=lambda: 0)
        self._alone = FusionNode(tried, look_ahead, stopwatch=lambda: 0)
        self._load = DialogueLoad(GOOD_SESSION, seed=1)
        self._now_ns = _BEGIN_NS
        self._said: dict[str, list[Emotion]] = {"beside": [], "alone": []}
        self._given = 0
        self._speak(self._load.opening(self._now_ns))

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield frames; few are spoiled, for those do not get as far as the node."""
        spoiler, maker = FrameSpoiler(random, stock=50), MessageMaker(random)
        stock = [encode(maker.any()) for _ in range(3_000)]
        while True:
            kind = random.randrange(20)
            if kind == 0:
                yield spoiler.next()
            elif kind < 4:
                yield encode(maker.any())
            else:
                yield random.choice(stock)

    def give(self, case: FuzzCase) -> str:
        """Let the node receive it, and wake every now and then."""
        self._given += 1
        self._now_ns += 2 * NS_PER_MS
        if self._given % self.good_every == 0:
            self._speak(self._load.utterance(self._now_ns))
        try:
            message = decode(list(case))
        except DecodeError as error:
            return error.reason
        self._check(self._node.receive(message, self._now_ns))
        if self._given % self.wake_every == 0:
            self._check(list(self._node.wake(self._now_ns)))
        return "accepted"

    def _speak(self, messages: list[Message]) -> None:
        """Let the good dialogue say something: to the node with the others, and to one without."""
        for message in messages:
            self._check(self._node.receive(message, self._now_ns))
            self._keep("alone", self._alone.receive(message, self._now_ns))
        self._check(list(self._node.wake(self._now_ns)))
        self._keep("alone", list(self._alone.wake(self._now_ns)))

    def _check(self, said: list[Message]) -> None:
        """Check that all that the node says can be sent, and read again."""
        for message in said:
            assert decode(encode(message)) == message, "nobody could read it"
        self._keep("beside", said)

    def _keep(self, where: str, said: list[Message]) -> None:
        kept = self._said[where]
        kept += [m for m in said if isinstance(m, Emotion) and m.session == GOOD_SESSION]

    def finish(self) -> None:
        """Check that the good dialogue's finals are those of the node without the others."""
        self._check(self._node.close(self._now_ns))
        self._keep("alone", self._alone.close(self._now_ns))
        beside, alone = (_finals(self._said[where]) for where in ("beside", "alone"))
        assert _same(beside, alone), "what others sent has changed a final of the good dialogue"
        _check_revisions(self._said["beside"])


def _same(found: Any, expected: Any) -> bool:
    """Return whether nothing differs by more than the last digits."""
    if isinstance(expected, dict):
        same_keys = bool(found.keys() == expected.keys())
        return same_keys and all(_same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, float):
        return bool(abs(found - expected) <= _TOLERANCE)
    return bool(found == expected)


def _finals(said: list[Emotion]) -> dict[str, dict[str, Any]]:
    return {
        emotion.utterance: msgspec.to_builtins(emotion) | {"latency_ms": None, "revision": None}
        for emotion in said
        if emotion.status == "final"
    }


def _check_revisions(said: list[Emotion]) -> None:
    latest: dict[str, Emotion] = {}
    for emotion in said:
        before = latest.get(emotion.utterance)
        assert emotion.revision == (0 if before is None else before.revision + 1), emotion
        assert before is None or before.status != "final", emotion
        latest[emotion.utterance] = emotion
