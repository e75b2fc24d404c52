"""What the hub does where it has keys: every message has a sender, and every sender has limits.

Knows: the three sockets, the gatekeeper in front of them, and how a peer is cut off.
Refuses to know: what is too much (``core.peers``), and who is on the list (``bus.keys``).

ZeroMQ cannot end one peer's connections. A peer that is revoked or blocked is cut off by closing
all three sockets and binding them anew: the others come back within a tenth of a second or so, show
their keys again and ask for what they missed; the one that was cut off does not get in.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

import zmq

from affectstream.bus.endpoint import Endpoint
from affectstream.bus.gatekeeper import Gatekeeper
from affectstream.bus.handshakes import failure_name, failures
from affectstream.bus.kept_claims import read_claims, write_claims
from affectstream.bus.keys import HUB_NAME, Keys
from affectstream.bus.outlet import Outlet
from affectstream.bus.sockets import bind_all, close
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import pack_map
from affectstream.core.limits import PeerLimits
from affectstream.core.peers import HUB_SESSION, PeerGuard
from affectstream.errors import BusError, worth_logging
from affectstream.messages import Gap, Progress
from affectstream.timebase import NS_PER_MS, NS_PER_S

_log = logging.getLogger(__name__)

FORWARDED_AT_ONCE = 100
"""So many messages of one socket are forwarded before the other sockets are looked at."""

TICK_NS = 100 * NS_PER_MS
SAY_NS = 1 * NS_PER_S
REBIND_S = 5.0
KEEP_CLAIMS_NS = 5 * NS_PER_S
"""Whose streams are whose is written down at most so often."""


class GuardedForwarder:
    """Forwards messages and requests of the peers on the list; the hub runs it in a thread.

    Args:
        endpoint: has keys, and those are the hub's own.
        counts: where refusals and drops are counted, by reason.

    Attributes:
        turns: how often the sockets were looked at; it stands still when the hub does.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: Endpoint,
        keys: Keys,
        limits: PeerLimits,
        counts: Counter[str],
    ) -> None:
        self._context, self._endpoint, self._keys = context, endpoint, keys
        self._counts = counts
        self._now = WallClock().now_ns
        self._guard = PeerGuard(limits, exempt=HUB_NAME)
        self._guard.claims.recall(read_claims(keys.folder), self._now())
        self.turns = 0
        self._gate = Gatekeeper(
            context, keys, counts, lambda name: self._guard.is_blocked(name, self._now())
        )
        self._tick_ns = self._say_ns = self._keep_ns = 0
        self._out, self._in, self._router = self._bind()

    def _bind(self) -> list[zmq.Socket[bytes]]:
        bound = bind_all(self._context, self._endpoint)
        out = bound[0]
        out.setsockopt(zmq.XPUB_VERBOSER, 1)  # every peer's subscriptions, not only the first's
        return bound

    def run(self) -> None:
        """Forward until the context ends."""
        outlet = Outlet(self._endpoint)  # through the front door, as everybody
        outlet.publish(Progress(session=HUB_SESSION, source=HUB_NAME, watermark_ns=0))
        try:
            poller = self._poller()
            while True:
                self.turns += 1
                ready = dict(poller.poll(TICK_NS // NS_PER_MS))
                self._serve(ready)
                self._tick(outlet)
                if self._must_cut():
                    self._cut()
                    poller = self._poller()
        except zmq.ZMQError as error:
            if error.errno != zmq.ETERM:
                raise
        finally:
            for socket in (self._out, self._in, self._router):
                close(socket)
            self._gate.close()
            outlet.close(linger_ms=0)

    def _poller(self) -> zmq.Poller:
        poller = zmq.Poller()
        for socket in (self._out, self._in, self._router):
            poller.register(socket, zmq.POLLIN)
            poller.register(socket.get_monitor_socket(), zmq.POLLIN)
        poller.register(self._gate.socket, zmq.POLLIN)
        return poller

    def _serve(self, ready: Mapping[object, int]) -> None:
        """Take in what the sockets have, a bounded part of it."""
        if self._gate.socket in ready:
            self._gate.answer()
        if self._in in ready:
            self._forward()
        if self._out in ready:
            self._subscribe()
        if self._router in ready:
            self._switch()
        for socket in (self._out, self._in, self._router):
            monitor = socket.get_monitor_socket()
            if monitor in ready:
                for event, value in failures(monitor):
                    self._count(failure_name(event, value))

    def _tick(self, outlet: Outlet) -> None:
        """Look at the list, and say what was dropped, every now and then."""
        now_ns = self._now()
        if now_ns >= self._tick_ns:
            self._tick_ns = now_ns + TICK_NS
            self._gate.refresh()
            try:
                outlet.service()
            except BusError as error:  # the hub goes on, though it cannot speak for itself
                _log.error("the hub cannot reach itself: %s", error)
        if now_ns >= self._say_ns and self._guard.losses:
            self._say_ns = now_ns + SAY_NS
            self._say_losses(outlet)
        if now_ns >= self._keep_ns and self._guard.claims.are_new:
            self._keep_ns = now_ns + KEEP_CLAIMS_NS
            self._guard.claims.are_new = False
            write_claims(self._keys.folder, self._guard.claims.kept())

    def _must_cut(self) -> bool:
        """Log who was revoked or blocked since the last call; return whether anybody was."""
        gone, blocks = self._gate.gone[:], self._guard.blocks[:]
        self._gate.gone.clear()
        self._guard.blocks.clear()
        for name in gone:
            _log.warning("%s is not on the list as before; all connections are made anew", name)
        for block in blocks:
            self._counts["blocked"] += 1
            _log.warning("%s is blocked for %g s: %s", block.peer, block.seconds, block.reason)
        return bool(gone or blocks)

    def _forward(self) -> None:
        """Pass on what publishers sent."""
        for _ in range(FORWARDED_AT_ONCE):
            received = _receive(self._in)
            if received is None:
                return
            name, frames = received
            if name and self._guard.publication(name, frames, self._now()) is None:
                self._out.send_multipart(frames)

    def _subscribe(self) -> None:
        """Pass on to publishers what subscribers want."""
        for _ in range(FORWARDED_AT_ONCE):
            received = _receive(self._out)
            if received is None:
                return
            name, frames = received
            if self._guard.subscription(name or None, frames[0], self._now()) is None:
                self._in.send(frames[0])

    def _switch(self) -> None:
        """Pass on requests and their answers, or answer a clock probe."""
        for _ in range(FORWARDED_AT_ONCE):
            received = _receive(self._router)
            if received is None:
                return
            name, frames = received
            if name and self._guard.request(name, frames, self._now()) is None:
                switch(self._router, frames, self._now)

    def _say_losses(self, outlet: Outlet) -> None:
        """Name who had what dropped, in the log and on the bus."""
        for loss, count in self._guard.take_losses(self._now()):
            self._counts[f"dropped: {loss.peer}"] += count
            _log.warning("dropped %d %s from %s: %s", count, loss.lost, loss.peer, loss.reason)
            outlet.publish(
                Gap(
                    session=HUB_SESSION,
                    source=HUB_NAME,
                    of=loss.peer,
                    lost=loss.lost[:400],
                    count=count,
                    reason=loss.reason[:400],
                )
            )

    def _count(self, name: str) -> None:
        if not name:
            return
        self._counts[name] += 1
        if worth_logging(self._counts[name]):
            _log.warning("%s (%d); see docs/security.md", name, self._counts[name])

    def _cut(self) -> None:
        """End every connection; the peers that may come back do so at once."""
        for socket in (self._out, self._in, self._router):
            close(socket)
        self._guard.forget_subscriptions()
        self._counts["cut"] += 1
        late = time.monotonic() + REBIND_S
        while True:
            try:
                self._out, self._in, self._router = self._bind()
            except BusError as error:  # ZeroMQ lets go of a port in its own time
                if time.monotonic() > late:
                    _log.error("the hub cannot come back: %s", error)
                    late += REBIND_S
                self._gate.answer()  # a connection that waits for it would hold its port for ever
                time.sleep(0.002)
            else:
                return


def _receive(socket: zmq.Socket[bytes]) -> tuple[str, list[bytes]] | None:
    """Return a message that waits and who sent it; "" is nobody: the end of a connection."""
    try:
        first = socket.recv(zmq.DONTWAIT, copy=False)
    except zmq.Again:
        return None
    rest = socket.recv_multipart() if first.more else []
    try:
        name = str(first.get("User-Id"))
    except zmq.ZMQError:
        name = ""
    return name, [first.bytes, *rest]


def switch(router: zmq.Socket[bytes], frames: list[bytes], clock: Callable[[], int]) -> None:
    """Pass ``[sender, to, *body]`` on to ``to``, or answer what is for the hub."""
    sender, to, *body = frames if len(frames) >= 2 else [*frames, b""]
    if not to:
        answer = [sender, b"", pack_map({"op": "clock", "now_ns": clock()})]
        _send(router, [*answer, *body[1:]])
    elif not _send(router, [to, sender, *body]):
        _send(router, [sender, to, pack_map({"op": "unreachable"})])


def _send(router: zmq.Socket[bytes], frames: list[bytes]) -> bool:
    try:
        router.send_multipart(frames, zmq.DONTWAIT)
    except zmq.ContextTerminated:
        raise
    except zmq.ZMQError:
        return False
    return True
