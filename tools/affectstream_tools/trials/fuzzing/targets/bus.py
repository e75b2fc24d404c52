"""Fuzzes the bus over real sockets: a hub, an inlet, a subscriber, an outlet, and strangers.

What the outlet publishes must reach both readers, whatever the strangers send.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random

import msgpack
import zmq

from affectstream.bus import Hub, Inlet, Outlet, measure_clock_offset, ports
from affectstream.client import Subscriber
from affectstream.messages import Emotion
from affectstream.run.processes import free_address
from affectstream_tools.trials.fuzzing.frames import FrameSpoiler
from affectstream_tools.trials.fuzzing.runs import FuzzCase
from affectstream_tools.trials.fuzzing.targets.good_stream import (
    GOOD_SESSION,
    StreamChecker,
    good_message,
)
from affectstream_tools.trials.fuzzing.targets.wire import wrong_answer, wrong_request

_GOOD_EVERY = 50
_ANSWER_WAIT_S = 15.0


class BusTarget:
    """A hub, two readers and an outlet; strangers publish, ask and answer, mostly nonsense."""

    stateful = True

    def __init__(self) -> None:
        address = free_address()
        _, publish, control = ports(address)
        self._hub = Hub(address)
        self._outlet = Outlet(address)
        self._inlet = Inlet(address, ["transcript/", "emotion/", "stream."], from_start=True)
        self._subscriber = Subscriber(address, session=GOOD_SESSION)
        self._context = zmq.Context()
        self._publisher = self._socket(zmq.XPUB, publish)
        self._stranger = self._socket(zmq.DEALER, control)
        self._impostor = self._socket(
            zmq.DEALER, control, b"2"
        )  # claims to be the outlet of epoch 2
        self._following = StreamChecker(self._outlet.epoch)
        self._given = self._published = self._estimates = 0
        while self._following.taken + self._estimates == 0 or not self._estimates:
            self._publish()  # until both readers are connected

    def _socket(self, kind: int, where: str, name: bytes = b"") -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        if name:
            socket.setsockopt(zmq.ROUTING_ID, name)
        socket.connect(where)
        return socket

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield what a stranger does, and the frames that it sends."""
        spoiler = FrameSpoiler(random)
        while True:
            kind = random.randrange(12)
            if kind < 6:
                yield [b"publishes", *(spoiler.next() or [b""])]
            elif kind < 8:
                epoch, seq = random.randrange(1, 30), random.randrange(60)
                yield [b"publishes", *spoiler.renumbered(epoch, seq)]
            elif kind == 8:
                yield [b"asks", str(random.choice((0, 2, 99))).encode(), *wrong_request(random)]
            elif kind == 9:
                yield [b"asks", b"good", *wrong_request(random)[1:]]
            elif kind == 10:
                yield [b"answers", *wrong_answer(random, spoiler)]
            else:
                frames = [random.randbytes(random.choice((0, 5, 255, 300))) for _ in range(3)]
                yield [b"asks", *frames[: random.randrange(1, 4)]]

    def give(self, case: FuzzCase) -> str:
        """Send the frames; after every 50 cases the outlet publishes, and both readers read."""
        who, *frames = case
        if who == b"publishes":
            self._publisher.send_multipart(frames, zmq.DONTWAIT)
        else:
            socket = self._stranger if who == b"asks" else self._impostor
            if frames[:1] == [b"good"]:
                frames[0] = str(self._outlet.epoch).encode()
            try:
                socket.send_multipart(frames or [b""], zmq.DONTWAIT)
            except zmq.Again:
                return "not sent"
        self._given += 1
        if self._given % _GOOD_EVERY == 0:
            self._publish()
        return "accepted"

    def _publish(self) -> None:
        self._outlet.publish(good_message(self._published))
        self._published += 1
        self._turn()

    def _turn(self) -> None:
        self._outlet.service()
        self._answer_as_impostor()
        while (event := self._subscriber.receive(timeout_s=0.0)) is not None:
            self._estimates += isinstance(event, Emotion)
        self._following.take(self._inlet.read())
        for socket in (self._publisher, self._stranger):
            while socket.poll(0):
                socket.recv_multipart()

    def _answer_as_impostor(self) -> None:
        """Answer, uselessly, what readers ask the outlet of epoch 2, which does not exist."""
        while self._impostor.poll(0):
            sender, *_ = self._impostor.recv_multipart()
            body = {"op": "state", "epoch": 2, "heads": {"no topic": 1}}
            self._impostor.send_multipart([sender, msgpack.packb(body), b"", b"", b""])

    def finish(self) -> None:
        """Check that the good stream arrived whole, and that the hub still answers."""
        try:
            self._settle()
            measure_clock_offset(self._hub.address, timeout_s=_ANSWER_WAIT_S)
        finally:
            self._context.destroy(linger=0)
            self._subscriber.close()
            self._inlet.close()
            self._outlet.close(linger_ms=0)
            self._hub.close()

    def _settle(self) -> None:
        estimates = sum(isinstance(good_message(n), Emotion) for n in range(self._published))
        vouched = sum(good_message(n).kind != "progress" for n in range(self._published))
        self._outlet.publish(
            good_message(5 * self._published + 4)
        )  # a watermark that tells how many there are
        until = time.monotonic() + _ANSWER_WAIT_S
        while self._following.taken < vouched or self._estimates < estimates:
            self._turn()
            missing = f"{self._following.taken} of {vouched}, {self._estimates} of {estimates}"
            assert time.monotonic() < until, f"of the good stream came {missing}"
