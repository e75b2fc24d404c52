"""Fuzzes the codec, and an inlet and an outlet that are joined by queues in place of sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import msgpack
import zmq

from affectstream.bus import Endpoint, Inlet, Outlet
from affectstream.bus.handshakes import HandshakeWatch
from affectstream.codec import DecodeError, decode, encode
from affectstream.fusion.node import NODE_PREFIXES
from affectstream.timebase import NS_PER_MS, NS_PER_S
from affectstream_tools.trials.fuzzing.frames import FrameSpoiler
from affectstream_tools.trials.fuzzing.runs import FuzzCase, checked_sentence
from affectstream_tools.trials.fuzzing.spoiling import ODD_VALUES, spoiled_bytes
from affectstream_tools.trials.fuzzing.targets.good_stream import (
    GOOD_SESSION,
    StreamChecker,
    good_message,
)

_BEGIN_NS = 1_700_000_000 * NS_PER_S
_NOWHERE = "tcp://127.0.0.1:9"
"""Where nobody answers; queues take the place of the sockets."""


class CodecTarget:
    """``codec.decode``: it must refuse by name, or return a message that can be sent again."""

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
        """Do nothing: the codec holds nothing."""


class _Queue:
    """Takes a socket's place: receives what is ``waiting``, and keeps what is ``sent``."""

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
    """An inlet and an outlet with a good stream, joined by queues; garbage is put in too."""

    stateful = True

    def __init__(self) -> None:
        self._now_ns = _BEGIN_NS
        prefixes = (*NODE_PREFIXES, "emotion/", "audio/")
        self._inlet = Inlet(_NOWHERE, prefixes, from_start=True, clock=self._now)
        self._outlet = Outlet(_NOWHERE, clock=self._now)
        self._inlet.close()
        self._outlet.close(linger_ms=0)
        self._heard, self._control = _Queue(), _Queue()
        self._said, self._asked = _Queue(), _Queue()
        self._inlet._subscriber, self._inlet._requests = self._heard, self._control  # type: ignore[assignment]
        self._outlet._publisher, self._outlet.socket = self._said, self._asked  # type: ignore[assignment]
        # No connection is made, so none is watched.
        self._inlet._watch = self._outlet._watch = HandshakeWatch(Endpoint(_NOWHERE), ())
        self._strangers: deque[tuple[bytes, dict[str, Any]]] = deque(maxlen=64)
        self._following = StreamChecker(self._outlet.epoch)
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
        """Let it happen, and let a millisecond pass."""
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
        """Answer in the name of an outlet that does not exist what the inlet has asked it."""
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
        """Send the outlet a request, and let it answer all that waits at once."""
        self._outlet._read(frames)
        while asked := self._outlet._requests.take(1 << 62):
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
        """Check that the whole good stream has arrived."""
        self._outlet.publish(
            good_message(5 * self._published + 4)
        )  # a watermark that tells how many there are
        self._heard.waiting.append(self._said.sent.pop())
        for _ in range(10_000):
            self._now_ns += NS_PER_MS
            self._turn()
            if self._following.taken == self._published + 1:
                return
        raise AssertionError(
            f"of the good stream came {self._following.taken} of {self._published + 1}"
        )


def wrong_answer(random: Random, spoiler: FrameSpoiler) -> list[bytes]:
    """Return the frames of an outlet's answer to nothing that was asked."""
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
    """Return the frames of a request to an outlet, often a wrong one."""
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
