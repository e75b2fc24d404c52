"""A subscriber's program on the second host: it prints estimates, and the time as it knows it.

    python -m affectstream_tools.trials.link.listener ADDRESS DIALOGUES

Each line is JSON: ``{"time": [hub, own]}`` in ns every 20 ms, ``{"final": NUMBER}`` as they come,
and last ``{"heard": ...}``, once that many dialogues and standard input are closed.
"""

from __future__ import annotations

import json
import select
import sys
from typing import Any

from affectstream.bus import HubClock
from affectstream.bus.wall_clock import WallClock
from affectstream.client import Subscriber
from affectstream.messages import Emotion, Gap, StreamClosed

_TELL_S = 0.02


def listen(address: str, dialogues: int) -> dict[str, Any]:
    """Receive events until that many dialogues and standard input are closed; sum them up."""
    own = WallClock().now_ns
    finals: dict[str, Any] = {}
    gaps: list[str] = []
    closed: set[str] = set()
    with HubClock(address, local=own) as clock, Subscriber(address, positions={}) as subscriber:
        clock.wait()
        _say({"ready": True})
        while len(closed) < dialogues or not _told_to_end():
            clock.service()
            _say({"time": [clock.now_ns(), own()]})
            event = subscriber.receive(timeout_s=_TELL_S)
            if isinstance(event, Emotion) and event.status == "final":
                finals[f"{event.session}/{event.utterance}"] = {
                    **event.categorical,
                    **{name: value.mean for name, value in event.dimensional.items()},
                }
                _say({"final": len(finals)})
            elif isinstance(event, Gap):
                gaps.append(
                    f"{event.session}: {event.count} {event.lost} of {event.of}: {event.reason}"
                )
            elif isinstance(event, StreamClosed):
                closed.add(event.session)
        estimate = clock.estimate()
        assert estimate is not None, "the clock was waited for"
        return {
            "finals": finals,
            "gaps": gaps,
            "resent": subscriber.counts.get("resent", 0),
            "drift_ppm": estimate.drift * 1e6,
            "error_ms": estimate.error_ns / 1e6,
        }


def _told_to_end() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable)  # nothing is ever written: readable means closed


def _say(words: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say({"heard": listen(sys.argv[1], int(sys.argv[2]))})
