"""Subscribers that do not read, are stopped, or ask without end; each runs in a process of its own.

They run at the lowest priority, as if they were on other machines: what they do to the others,
they do through the bus and not by taking the processor.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import Queue
from typing import Any

import zmq

from affectstream.bus import ports
from affectstream.codec import pack_map, unpack_map
from affectstream.run.processes import Processes

_CONNECT_SETTLE_S = 1.0
_PER_PROCESS = 33


def _read_nothing(address: str, sockets: int, stopped: bool, ready: Queue[Any]) -> None:
    """Subscribe to everything with ``sockets`` and read nothing; be ``stopped``, or stay alive."""
    os.nice(19)
    context = zmq.Context()
    where = ports(address)[0]
    context.set(zmq.MAX_SOCKETS, sockets + 10)
    held = [context.socket(zmq.SUB) for _ in range(sockets)]
    for socket in held:
        socket.connect(where)
        socket.subscribe(b"")
    time.sleep(_CONNECT_SETTLE_S)
    _say(ready)
    if stopped:
        os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        time.sleep(60)


def _ask_without_end(address: str, ready: Queue[Any]) -> None:
    """Ask every outlet again and again for all that it keeps, and for single messages."""
    os.nice(19)
    context = zmq.Context()
    where, _, control = ports(address)
    subscriber, requests = context.socket(zmq.SUB), context.socket(zmq.DEALER)
    subscriber.connect(where)
    subscriber.subscribe(b"")
    requests.connect(control)
    heads: dict[int, dict[str, int]] = {}
    _say(ready)
    while True:
        _meet(subscriber, heads)
        for epoch, topics in heads.items():
            topic, head = next(iter(topics.items()))
            for body in (
                {"op": "history", "prefixes": [""], "position": 0},
                {"op": "resend", "topic": topic, "first": max(0, head - 200), "last": head},
            ):
                requests.send_multipart([str(epoch).encode(), pack_map(body)])
                if requests.poll(200):
                    requests.recv_multipart()


def _meet(subscriber: zmq.Socket[bytes], heads: dict[int, dict[str, int]]) -> None:
    """Learn from what there is to read which outlets publish which topics."""
    for _ in range(200):
        if not subscriber.poll(0):
            return
        topic, header, _ = subscriber.recv_multipart()
        said = unpack_map(header)
        heads.setdefault(said["epoch"], {})[topic.decode()] = said["seq"]


def _say(ready: Queue[Any]) -> None:
    ready.put(os.getpid())
    ready.close()
    ready.join_thread()  # a process that is stopped sends nothing any more


@contextmanager
def bad_subscribers(
    address: str,
    processes: Processes,
    *,
    stopped: int = 0,
    unread_by: int = 0,
    greedy_ones: int = 0,
) -> Iterator[None]:
    """Keep such subscribers at the bus while the block runs.

    Args:
        stopped: how many are stopped by a signal; the first is ``affectstream subscribe`` itself.
        unread_by: how many live, but read nothing.
        greedy_ones: how many ask outlets without end.
    """
    spawn = get_context("spawn")
    ready: Queue[Any] = spawn.Queue()
    jobs: list[tuple[Any, ...]] = [(_ask_without_end, address)] * greedy_ones
    left = stopped
    if stopped:
        pid = processes.start("stalled", "subscribe", "--json", "--address", address)
        time.sleep(2 * _CONNECT_SETTLE_S)  # until it has subscribed
        os.kill(pid, signal.SIGSTOP)
        left -= 1
    while left > 0:
        jobs.append((_read_nothing, address, min(left, _PER_PROCESS), True))
        left -= _PER_PROCESS
    if unread_by:
        jobs.append((_read_nothing, address, unread_by, False))
    children = [
        spawn.Process(target=target, args=(*arguments, ready), daemon=True)
        for target, *arguments in jobs
    ]
    try:
        for child in children:
            child.start()
        for _ in children:
            ready.get(timeout=60)
        yield
    finally:
        for child in children:
            child.kill()  # it cannot be asked: it is stopped
            child.join()
