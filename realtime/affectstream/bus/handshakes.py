"""Why a connection was refused, in words that a user can act on.

Knows: what ZeroMQ reports of handshakes that failed, here and at the hub, and what a user can do.
Refuses to know: keys and lists.

ZeroMQ itself tries again for ever, or gives up, and says nothing. Here a refusal is an error that
says what to do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import zmq

from affectstream.bus.endpoint import Endpoint
from affectstream.errors import BusError

NOT_ALLOWED = "400"
"""The status by which the hub refuses a key that is not on its list."""

BLOCKED = "500"
"""The status by which the hub refuses a key that is on its list, but has misbehaved."""

MAX_BROKEN_OFF = 3
"""So many handshakes in a row that the hub ended without a reason are no accident."""

_KEYLESS = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
_UNREADABLE = zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC


def failures(monitor: zmq.Socket[bytes]) -> Iterator[tuple[int, int]]:
    """Yield what a socket's monitor has to report: the number and the value of each event."""
    while monitor.poll(0):
        event, _ = monitor.recv_multipart()
        yield struct.unpack("=HI", event)


def failure_name(event: int, value: int) -> str:
    """Return the name under which a hub counts a failed handshake; "" if its gatekeeper did."""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return ""
    if value == _UNREADABLE:
        return "refused: for another hub's key"
    return "refused: without keys" if value == _KEYLESS else "refused: broken off"


class HandshakeWatch:
    """Notices that the hub refuses this client.

    Args:
        endpoint: the hub's, as the client uses it.
        sockets: those that ``sockets.connect`` returned.
    """

    def __init__(self, endpoint: Endpoint, sockets: Sequence[zmq.Socket[bytes]]) -> None:
        self._endpoint = endpoint
        self._monitors = [(socket.get_monitor_socket(), [0]) for socket in sockets]

    def check(self) -> None:
        """Read what the sockets' monitors report.

        Raises:
            BusError: the hub refuses this client, or is not the one whose key it trusts.
        """
        for monitor, broken_off in self._monitors:
            for event, value in failures(monitor):
                if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    broken_off[0] = 0
                elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                    raise BusError(self._refused(str(value)))
                elif value == _KEYLESS:
                    raise BusError(self._other_mechanism())
                else:
                    broken_off[0] += 1
                    if broken_off[0] >= MAX_BROKEN_OFF:
                        raise BusError(self._broken_off())

    def _refused(self, status: str) -> str:
        keys = self._endpoint.keys
        if status == BLOCKED:
            return (
                f"the hub at {self._endpoint} has blocked this key for a while, for it sent too "
                "much or what is no message; the hub's own log says which"
            )
        key = keys.public.decode() if keys else ""
        return (
            f"the hub at {self._endpoint} refused this key for what it is used for; on the hub's "
            f"host, `affectstream keys allow NAME '{key}'` lets it in"
        )

    def _other_mechanism(self) -> str:
        if self._endpoint.keys is None:
            return (
                f"the hub at {self._endpoint} wants keys; make some by `affectstream keys new`, "
                "have them allowed there, and pass --keys FOLDER"
            )
        return (
            f"the hub at {self._endpoint} has no keys, so it may be anybody; start it with --keys, "
            "or leave --keys away on loopback"
        )

    def _broken_off(self) -> str:
        if self._endpoint.keys is None:
            return self._other_mechanism()
        return (
            f"what answers at {self._endpoint} is not the hub whose key is trusted here, or has no "
            "keys; compare `affectstream keys show` on both hosts, and `affectstream keys trust`"
        )
