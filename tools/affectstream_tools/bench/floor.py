"""The least time that a message can take on this machine: one hop through the hub."""

from __future__ import annotations

import time

import numpy as np
import zmq

from affectstream.bus import ports
from affectstream.errors import AffectstreamError
from affectstream.run.processes import Processes, free_address

_SIZE_BYTES = 900
"""About the size of an estimate."""


def measure_hop(repeats: int) -> dict[str, float]:
    """Return the time from PUB through a hub's process to SUB, both here, in milliseconds.

    Raises:
        AffectstreamError: the hub did not start or did not forward.
    """
    address = free_address()
    out, into, _ = ports(address)
    context = zmq.Context()
    with Processes() as processes:
        processes.start("hub", "hub", "--address", address)
        processes.wait_for_hub(address)
        publisher, subscriber = context.socket(zmq.PUB), context.socket(zmq.SUB)
        try:
            subscriber.connect(out)
            subscriber.subscribe(b"")
            publisher.connect(into)
            waited_ms = _hops(publisher, subscriber, repeats)
        finally:
            context.destroy(linger=0)
    p50, p99 = np.percentile(waited_ms, [50, 99])
    return {"hop_p50_ms": round(float(p50), 3), "hop_p99_ms": round(float(p99), 3)}


def _hops(publisher: zmq.Socket[bytes], subscriber: zmq.Socket[bytes], repeats: int) -> list[float]:
    body = bytes(_SIZE_BYTES)
    for _ in range(200):  # until both are connected
        publisher.send(body)
        if subscriber.poll(50):
            break
    else:
        raise AffectstreamError("the hub forwards nothing; see `affectstream doctor`")
    while subscriber.poll(50):
        subscriber.recv()
    waited_ms = []
    for _ in range(repeats):
        began = time.perf_counter_ns()
        publisher.send(body)
        subscriber.recv()
        waited_ms.append((time.perf_counter_ns() - began) / 1e6)
        time.sleep(0.001)  # as messages of a dialogue come: one at a time
    return waited_ms
