"""What a hub's memory grows to when subscribers have stopped and audio passes through."""

from __future__ import annotations

import time

from affectstream.bus import Outlet
from affectstream.messages import Audio
from affectstream.run.processes import Processes, free_address
from affectstream_tools.bench.bad_subscribers import bad_subscribers
from affectstream_tools.bench.footprint import footprint

_BLOCK_BYTES = 3_200  # 100 ms of a microphone
_BLOCKS_PER_S = 1_000
_PUBLISHED_S = 15.0


def measure_hub_memory(stopped: int) -> dict[str, object]:
    """Return a hub's resident memory in MiB: before 15 s of audio, the most during it, and after.

    The audio comes as fast as from a hundred microphones.

    Args:
        stopped: how many subscribers are stopped by a signal once they have subscribed.

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
                while (passed_s := time.monotonic() - began) < _PUBLISHED_S:
                    for _ in range(int(passed_s * _BLOCKS_PER_S) - sent):
                        outlet.publish(_block(sent))
                        sent += 1
                    outlet.service()
                    outlet.socket.poll(2)
                    sizes.append(footprint(pid).rss_mib)
        finally:
            outlet.close()
    return {
        "stopped": stopped,
        "published_mib": round(sent * _BLOCK_BYTES / 2**20, 1),
        "hub_mib": round(sizes[0], 1),
        "hub_most_mib": round(max(sizes), 1),
        "hub_last_mib": round(sizes[-1], 1),
    }


def _block(number: int) -> Audio:
    samples = _BLOCK_BYTES // 2
    return Audio(
        session="bench",
        source="mic.bench",
        first_sample=number * samples,
        sample_rate_hz=16_000,
        start_ns=number * 100_000_000,
        payload=bytes(_BLOCK_BYTES),
    )
