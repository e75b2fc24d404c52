"""What an outlet answers is never more than its readers take."""

from __future__ import annotations

import msgspec

from affectstream.codec import MAX_PAYLOAD_BYTES
from affectstream.core.delivery import answers
from affectstream.core.delivery.answers import OutletAnswers
from affectstream.core.delivery.known_outlet import MAX_HELD_BYTES, KnownOutlet, held_bytes
from affectstream.core.delivery.published import PublishedStreams
from affectstream.core.delivery.retention import LastState, Recalled, Ring
from affectstream.core.limits import PeerLimits
from bus_helpers import opened, transcript


def test_a_state_of_any_size_is_one_that_readers_take() -> None:
    ring, state = Ring(1 << 20), LastState()
    streams = PublishedStreams(ring.epoch, Recalled(), regenerated=False, now_ns=0)
    for number in range(20_000):
        message = opened(f"mic.{number}".ljust(120, "x"), session="s" * 119)
        message = streams.numbered(message, 0)
        streams.note(message, 0)
        state.note(message)
    asked = {"op": "state", "prefixes": [""]}
    frames = OutletAnswers(ring, state, streams).answer(asked)
    assert len(frames[0]) <= MAX_PAYLOAD_BYTES
    assert 1 < len(frames) <= PeerLimits().frames
    assert sum(map(len, frames[1:])) <= answers.MAX_STATE_BYTES
    assert b"mic.19999" in frames[-3]  # the latest
    assert b"mic.19999" in frames[0]


def test_what_is_held_is_counted_with_its_headers() -> None:
    outlet = KnownOutlet()
    message = msgspec.structs.replace(transcript(0), text="\N{GRINNING FACE}" * 15_000)
    assert held_bytes(message) > 60_000
    while not outlet.is_full:
        outlet.hold(message)
    assert len(outlet.held) * 60_000 <= MAX_HELD_BYTES + 60_000
    while outlet.held:
        outlet.pop(outlet.held)
    assert outlet.held_bytes == 0
