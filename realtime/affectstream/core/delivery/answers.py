"""What an outlet answers to a request.

Knows: the three requests and their answers as frames, and what of them cannot be believed.
Refuses to know: sockets, who asks, and when an answer is due (``fairness``).
"""

from __future__ import annotations

from collections.abc import Iterable

from affectstream.codec import encode, pack_map
from affectstream.core.delivery.published import PublishedStreams
from affectstream.core.delivery.retention import MAX_PREFIXES, LastState, MessageStore
from affectstream.messages import Message

MAX_STATE_MESSAGES = 5_000
"""The most messages in a state: three frames each, and the hub passes on 16,384."""

MAX_STATE_BYTES = 4 * 1024 * 1024
MAX_STATE_HEADS_BYTES = 3 * 1024 * 1024
"""Readers take 4 MiB of heads; of topics that are left out they ask from the beginning."""

_HEAD_BYTES = 16


class OutletAnswers:
    """Answers from what an outlet keeps.

    What the last state holds may be older than the oldest message of the store: it is answered too.
    """

    def __init__(self, store: MessageStore, state: LastState, streams: PublishedStreams) -> None:
        self._store, self._state, self._streams = store, state, streams

    def answer(self, request: dict[str, object]) -> list[bytes]:
        """Return an answer's frames: a MessagePack map, then three frames for each message.

        Raises:
            ValueError, TypeError, KeyError, OverflowError: it is no request.
        """
        if request["op"] == "resend":
            return self._resend(str(request["topic"]), request["first"], request["last"])
        prefixes = request["prefixes"]
        if not isinstance(prefixes, list) or len(prefixes) > MAX_PREFIXES:
            raise TypeError(f"prefixes is a list of up to {MAX_PREFIXES}")
        if request["op"] == "history":
            return self._history(prefixes, request["position"], request.get("seen", {}))
        if request["op"] == "state":
            answer = {"op": "state", "epoch": self._store.epoch}
            heads = _latest_heads(self._streams.heads(prefixes))
            return _frames(answer | {"heads": heads}, _latest(self._state.messages(prefixes)))
        raise ValueError(f"no such request: {request['op']!r}")

    def _resend(self, topic: str, first: object, last: object) -> list[bytes]:
        if not isinstance(first, int) or not isinstance(last, int):
            raise TypeError("first and last are counts")
        found = [
            encode(m)
            for m in self._state.messages([topic])
            if m.topic == topic and first <= m.seq <= last and not self._is_stored(m)
        ]
        found += self._store.find(topic, first, last)
        answer = {"op": "resent", "epoch": self._store.epoch, "topic": topic}
        return _frames(answer | {"first": first, "last": last}, found)

    def _history(self, prefixes: list[str], position: object, seen: object) -> list[bytes]:
        if not isinstance(position, int) or not isinstance(seen, dict):
            raise TypeError("position is a count, and seen a map of counts")
        if not all(isinstance(first, int) for first in seen.values()):
            raise TypeError("seen is a map of counts")
        found, next_position = self._store.page(position, prefixes, seen)
        if position == 0:
            found = [
                encode(m)
                for m in self._state.messages(prefixes)
                if m.seq >= seen.get(m.topic, 0) and not self._is_stored(m)
            ] + found
        answer = {"op": "history", "epoch": self._store.epoch, "position": position}
        return _frames(answer | {"next": next_position}, found)

    def _is_stored(self, message: Message) -> bool:
        return self._store.holds(message.topic, message.seq)


def _latest_heads(heads: dict[str, int]) -> dict[str, int]:
    """Return the heads of the streams that came last, as many as a reader takes."""
    kept: dict[str, int] = {}
    size = 0
    for topic, head in reversed(heads.items()):
        size += len(topic.encode()) + _HEAD_BYTES
        if size > MAX_STATE_HEADS_BYTES:
            break
        kept[topic] = head
    return kept


def _latest(messages: list[Message]) -> list[list[bytes]]:
    """Return the frames of the latest messages, as many as a reader takes, the oldest first."""
    kept: list[list[bytes]] = []
    size = 0
    for message in reversed(messages[-MAX_STATE_MESSAGES:]):
        frames = encode(message)
        size += sum(map(len, frames))
        if size > MAX_STATE_BYTES:
            break
        kept.append(frames)
    return kept[::-1]


def _frames(answer: dict[str, object], found: Iterable[list[bytes]]) -> list[bytes]:
    return [pack_map(answer), *(frame for frames in found for frame in frames)]
