"""Codec, inlet and outlet, and the fusion node, given what nobody should send.

Knows: how each is fed without a network, and what must hold whatever it was fed.
Refuses to know: real sockets (``bus_targets``), and how input is spoiled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import msgpack
import msgspec
import zmq

from affectstream.bus import Endpoint, Inlet, Outlet
from affectstream.bus.handshakes import HandshakeWatch
from affectstream.codec import DecodeError, decode, encode
from affectstream.core.dialogue.model import ContextModel
from affectstream.fusion.node import NODE_PREFIXES, FusionNode
from affectstream.messages import Emotion, Message
from affectstream.timebase import NS_PER_MS, NS_PER_S
from affectstream_tools.bench.load import DialogueLoad
from affectstream_tools.trials.fuzzing.good_stream import GOOD_SESSION, Following, good_message
from affectstream_tools.trials.fuzzing.light_model import LightModel
from affectstream_tools.trials.fuzzing.messages import FrameSpoiler, MessageMaker
from affectstream_tools.trials.fuzzing.spoiling import ODD_VALUES, spoiled_bytes
from affectstream_tools.trials.fuzzing.watching import FuzzCase, checked_sentence

BEGIN_NS = 1_700_000_000 * NS_PER_S
NOWHERE = "tcp://127.0.0.1:9"
"""Nobody answers there; the sockets are replaced by queues."""


class CodecTarget:
    """``codec.decode``: refused by name, or a message that survives another trip."""

    stateful = False

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield frames."""
        spoiler = FrameSpoiler(random)
        while True:
            yield spoiler.next()

    def give(self, case: FuzzCase) -> str:
        """Decode the frames."""
        try:
            message = decode(list(case))
        except DecodeError as error:
            checked_sentence(error)
            return error.reason
        assert decode(encode(message)) == message, "it does not survive another trip"
        return "accepted"

    def finish(self) -> None:
        """Nothing is held."""


BATCH_TOLERANCE = 1e-5
"""A dialogue's estimates are the same in every batch but for the last digits."""


class _Queue:
    """Stands where a socket stood: what is put in comes out, what is sent is kept."""

    def __init__(self) -> None:
        self.waiting: deque[list[bytes]] = deque()
        self.sent: deque[list[bytes]] = deque()

    def recv_multipart(self, _: int = 0) -> list[bytes]:
        if not self.waiting:
            raise zmq.Again
        return self.waiting.popleft()

    def send_multipart(self, frames: list[bytes], _: int = 0) -> None:
        self.sent.append(frames)


class InletTarget:
    """An inlet and an outlet with good news, joined by queues; garbage on all of them."""

    stateful = True

    def __init__(self, *, from_start: bool = True) -> None:
        self._now_ns = BEGIN_NS
        prefixes = (*NODE_PREFIXES, "emotion/", "audio/")
        self._inlet = Inlet(NOWHERE, prefixes, from_start=from_start, clock=self._now)
        self._outlet = Outlet(NOWHERE, clock=self._now)
        self._inlet.close()
        self._outlet.close(linger_ms=0)
        self._heard, self._control = _Queue(), _Queue()
        self._said, self._asked = _Queue(), _Queue()
        self._inlet._subscriber, self._inlet._requests = self._heard, self._control  # type: ignore[assignment]
        self._outlet._publisher, self._outlet.socket = self._said, self._asked  # type: ignore[assignment]
        # No connection is made, so there is none to watch.
        self._inlet._watch = self._outlet._watch = HandshakeWatch(Endpoint(NOWHERE), ())
        self._strangers: deque[tuple[bytes, dict[str, Any]]] = deque(maxlen=64)
        self._following = Following(self._outlet.epoch)
        self._published = 0

    def _now(self) -> int:
        return self._now_ns

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield what happens next: a tag, then frames."""
        spoiler = FrameSpoiler(random)
        seqs: dict[int, int] = {}
        while True:
            kind = random.randrange(20)
            if kind < 3:
                yield [b"good", random.choice((b"whole", b"whole", b"lost", b"twice", b"late"))]
            elif kind < 10:
                yield [b"heard", *spoiler.next()]
            elif kind < 14:
                epoch = random.randrange(1, 40)
                jump = random.choice((0, 1, 1, 1, 1, 1, 2, 300, -3))
                seqs[epoch] = max(0, seqs.get(epoch, 0) + jump)
                yield [b"heard", *spoiler.renumbered(epoch, seqs[epoch])]
            elif kind < 16:
                yield [b"answered", *wrong_answer(random, spoiler)]
            elif kind < 18:
                yield [b"echoed", random.randbytes(1), *spoiler.good(), *spoiler.next()]
            else:
                yield [b"asked", *wrong_request(random)]

    def give(self, case: FuzzCase) -> str:
        """Let it happen, and a millisecond pass."""
        self._now_ns += NS_PER_MS
        tag, *frames = case
        said = "accepted"
        if tag == b"good":
            self._publish(frames[0])
        elif tag == b"heard":
            said = self._hear(frames)
        elif tag == b"answered":
            self._control.waiting.append(frames)
        elif tag == b"echoed":
            self._echo(frames[0], frames[1:])
        else:
            said = self._ask(frames)
        self._turn()
        return said

    def _publish(self, fate: bytes) -> None:
        self._outlet.publish(good_message(self._published))
        self._published += 1
        frames = self._said.sent.pop()
        if fate in (b"whole", b"twice"):
            self._heard.waiting.append(frames)
        if fate == b"twice":
            self._heard.waiting.append(frames)
        elif fate == b"late" and self._heard.waiting:
            self._heard.waiting.insert(0, frames)

    def _hear(self, frames: list[bytes]) -> str:
        try:
            decode(frames)
            expected = "accepted"
        except DecodeError as error:
            expected = error.reason
        before = self._inlet.counts[expected]
        self._heard.waiting.append(frames)
        self._turn()
        if expected != "accepted":
            assert self._inlet.counts[expected] > before, f"{expected} was not counted"
        return expected

    def _echo(self, how: bytes, frames: list[bytes]) -> None:
        """Answer, in a stranger's name, what the inlet has asked a stranger."""
        if not self._strangers:
            return
        to, request = self._strangers.popleft()
        epoch = int(to)
        answer: dict[str, Any] = {**request, "epoch": epoch, "next": None, "heads": {}}
        answer["op"] = {"resend": "resent"}.get(request["op"], request["op"])
        if how[0] & 1:
            answer["heads"] = {"no topic": 5, "transcript/d1/mic.1": 2**62}
        if how[0] & 2:
            answer["next"] = 2**63
        packed = msgpack.packb(answer)
        if how[0] & 12 == 12:
            packed = spoiled_bytes(packed, Random(how[0]))
        self._control.waiting.append([to, packed, *frames])

    def _ask(self, frames: list[bytes]) -> str:
        before = len(self._asked.sent)
        self._request(frames)
        answered = len(self._asked.sent) > before
        self._asked.sent.clear()
        return "accepted" if answered else "bad request"

    def _request(self, frames: list[bytes]) -> None:
        """Ask the outlet, and let nobody rest."""
        self._outlet._hear(frames)
        while asked := self._outlet._turns.next(1 << 62):
            self._outlet._answer(*asked)

    def _turn(self) -> None:
        delivered = self._inlet.read()
        self._following.take(delivered)
        own = str(self._outlet.epoch).encode()
        while self._control.sent:
            to, packed = self._control.sent.popleft()
            if to != own:
                self._strangers.append((to, msgpack.unpackb(packed)))
                continue
            self._request([b"reader", packed])
            _, *body = self._asked.sent.pop()
            self._control.waiting.append([own, *body])

    def finish(self) -> None:
        """All that the good outlet has published must have come."""
        self._outlet.publish(good_message(5 * self._published + 4))  # vouches for all
        self._heard.waiting.append(self._said.sent.pop())
        for _ in range(10_000):
            self._now_ns += NS_PER_MS
            self._turn()
            if self._following.taken == self._published + 1:
                return
        raise AssertionError(f"{self._following.taken} of {self._published + 1} good ones came")


def wrong_answer(random: Random, spoiler: FrameSpoiler) -> list[bytes]:
    """An answer to nothing that was asked."""
    if random.random() < 0.2:
        return [random.randbytes(4) for _ in range(random.randrange(4))]
    op = random.choice(("resent", "history", "state", "unreachable", "no such", None, [1]))
    epoch = random.choice((1, 2, 3, 2**64 - 1, "1", None, -1))
    body: dict[str, Any] = {"op": op, "epoch": epoch, "topic": "transcript/d1/mic.1"}
    body |= {"first": 0, "last": random.choice((0, 3, 2**64 - 1)), "position": 0, "next": None}
    body["heads"] = random.choice(({}, {"a": 1}, [], {"transcript/d1/mic.1": -1}))
    if random.random() < 0.5:
        body[random.choice(list(body))] = random.choice(ODD_VALUES)
    if random.random() < 0.2:
        del body[random.choice(list(body))]
    packed = msgpack.packb(body)
    if random.random() < 0.2:
        packed = spoiled_bytes(packed, random)
    return [
        str(epoch).encode(),
        packed,
        *(f for _ in range(random.randrange(3)) for f in spoiler.next()),
    ]


def wrong_request(random: Random) -> list[bytes]:
    """A request to an outlet, right or not."""
    prefixes: Any = random.choice((["emotion/"], [], [""], ["transcript/", "gap/"], ["x/"] * 5_000))
    body: dict[str, Any] = {"op": random.choice(("resend", "history", "state", "no such"))}
    body |= {"topic": f"transcript/{GOOD_SESSION}/mic.good", "prefixes": prefixes}
    body |= {"first": random.randrange(50), "last": random.choice((0, 60, 2**64 - 1))}
    body["position"] = random.choice((0, 10, 2**62, -5))
    body["seen"] = random.choice(({}, {body["topic"]: 2**63}, {"x": -1}, {body["topic"]: 3}))
    if random.random() < 0.5:
        body[random.choice(list(body))] = random.choice(ODD_VALUES)
    packed = msgpack.packb(body)
    if random.random() < 0.2:
        packed = spoiled_bytes(packed, random)
    return [b"reader", packed][: random.choice((2, 2, 2, 2, 1))]


class NodeTarget:
    """The fusion node: messages that the codec accepts, in no order, with no sense."""

    stateful = True
    wake_every = 8
    good_every = 100

    def __init__(self, model: ContextModel | None = None, look_ahead: int = 8) -> None:
        tried: ContextModel = LightModel() if model is None else model
        self._node = FusionNode(tried, look_ahead, stopwatch=lambda: 0)
        self._alone = FusionNode(tried, look_ahead, stopwatch=lambda: 0)
        self._load = DialogueLoad(GOOD_SESSION, seed=1)
        self._now_ns = BEGIN_NS
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
        """Let the good dialogue say something, beside the others and alone."""
        for message in messages:
            self._check(self._node.receive(message, self._now_ns))
            self._keep("alone", self._alone.receive(message, self._now_ns))
        self._check(list(self._node.wake(self._now_ns)))
        self._keep("alone", list(self._alone.wake(self._now_ns)))

    def _check(self, said: list[Message]) -> None:
        """All that the node says can be sent, and read by others."""
        for message in said:
            assert decode(encode(message)) == message, "nobody could read it"
        self._keep("beside", said)

    def _keep(self, where: str, said: list[Message]) -> None:
        kept = self._said[where]
        kept += [m for m in said if isinstance(m, Emotion) and m.session == GOOD_SESSION]

    def finish(self) -> None:
        """The good dialogue's finals are what they would have been without the others."""
        self._check(self._node.close(self._now_ns))
        self._keep("alone", self._alone.close(self._now_ns))
        beside, alone = (_finals(self._said[where]) for where in ("beside", "alone"))
        assert _same(beside, alone), "what others sent has changed a final of the good dialogue"
        _check_revisions(self._said["beside"])


def _same(found: Any, expected: Any) -> bool:
    """Return whether nothing differs by more than a batch of other company may change it."""
    if isinstance(expected, dict):
        same_keys = bool(found.keys() == expected.keys())
        return same_keys and all(_same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, float):
        return bool(abs(found - expected) <= BATCH_TOLERANCE)
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
