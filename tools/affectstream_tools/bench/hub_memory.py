"""What a hub holds for subscribers that have stopped.

Knows: a hub of its own process, subscribers of everything, and audio that passes through.
Refuses to know: who else is at the bus.
"""

from __future__ import annotations

import time

from affectstream.bus import Outlet
from affectstream.messages import Audio
from affectstream.run.processes import Processes, free_address
from affectstream_tools.bench.bad_subscribers import bad_subscribers
from affectstream_tools.bench.footprint import footprint

AUDIO_BLOCK_BYTES = 3_200
"""A microphone's block of 100 ms."""


def measure_hub_memory(
    stopped: int, *, blocks_per_s: int = 1_000, seconds: float = 15.0
) -> dict[str, object]:
    """Return a hub's resident memory (MiB) before, the most, and at the end.

    Args:
        stopped: subscribers, stopped by a signal once they have subscribed.
        blocks_per_s: blocks of audio, each of 3,200 bytes, for so many ``seconds``.

    Raises:
        AffectstreamError: the hub failed.
    """
    address = free_address()
    with Processes() as processes:
        pid = processes.start("hub", "hub", "--address", address)
        processes.wait_for_hub(address)
        outlet = Outlet(address)
        try:
            with bad_subscribers(address, processes, stopped=stopped):
                sizes = [footprint(pid).rss_mib]
                began, sent = time.monotonic(), 0
                while (passed_s := time.monotonic() - began) < seconds:
                    for _ in range(int(passed_s * blocks_per_s) - sent):
                        outlet.publish(_block(sent))
                        sent += 1
                    outlet.service()
                    outlet.socket.poll(2)
                    sizes.append(footprint(pid).rss_mib)
        finally:
            outlet.close()
    return {
        "stopped": stopped,
        "published_mib": round(sent * AUDIO_BLOCK_BYTES / 2**20, 1),
        "hub_mib": round(sizes[0], 1),
        "hub_most_mib": round(max(sizes), 1),
        "hub_last_mib": round(sizes[-1], 1),
    }


def _block(number: int) -> Audio:
    samples = AUDIO_BLOCK_BYTES // 2
    return Audio(
        session="bench",
        source="mic.bench",
        first_sample=number * samples,
        sample_rate_hz=16_000,
        start_ns=number * 100_000_000,
        payload=bytes(AUDIO_BLOCK_BYTES),
    )
