"""Makes the frames of messages and spoils them: fields, headers, lengths, order."""

from __future__ import annotations

from random import Random
from typing import Any

import msgpack

from affectstream.codec import MAX_PAYLOAD_BYTES, encode
from affectstream_tools.trials.fuzzing.messages import MessageMaker
from affectstream_tools.trials.fuzzing.spoiling import ODD_VALUES, spoiled_bytes


class FrameSpoiler:
    """Spoils the frames of messages, which are drawn from a stock that was encoded once."""

    def __init__(self, random: Random, stock: int = 600) -> None:
        self._random = random
        maker = MessageMaker(random)
        self._stock = [encode(maker.any()) for _ in range(stock)]
        self._headers = [msgpack.unpackb(packed) for _, packed, _ in self._stock]

    def good(self) -> list[bytes]:
        """Return the three frames of a message, not spoiled."""
        return list(self._random.choice(self._stock))

    def next(self) -> list[bytes]:
        """Return frames of which most are wrong; at times their number is wrong too."""
        random = self._random
        kind = random.randrange(16)
        if kind < 2:
            return self.good()
        if kind < 9:
            return self._confused()
        if kind < 13:
            frames = self.good()
            at = random.randrange(3)
            frames[at] = spoiled_bytes(frames[at], random)
            return frames
        if kind == 13:
            return self._shuffled()
        if kind == 14:
            return [self.good()[0], self.good()[1], self.good()[2]]
        return self._resized()

    def _confused(self) -> list[bytes]:
        """Return frames whose header has a wrong value, or a field missing or misnamed."""
        random = self._random
        index = random.randrange(len(self._stock))
        header, (topic, _, payload) = dict(self._headers[index]), self._stock[index]
        for _ in range(random.choice((1, 1, 2))):
            key = random.choice(list(header))
            kind = random.randrange(8)
            if kind == 0:
                del header[key]
                header["v"] = header.get("v", 1)
            elif kind == 1:
                header[random.choice(("more", "payload", "é", key.upper()))] = header.pop(key)
            elif kind == 2 and isinstance(header[key], dict | list) and header[key]:
                header[key] = self._confused_inside(header[key])
            elif kind == 3:
                header["v"] = random.choice((0, 2, 99, -1, "1", 1.0, True, None, 2**63))
            else:
                header[key] = random.choice(ODD_VALUES)
        if random.random() < 0.7 and isinstance(header.get("kind"), str):
            names = (header.get("kind"), header.get("session"), header.get("source"))
            topic = "/".join(str(name)[:300] for name in names).encode(errors="replace")
        return [topic, msgpack.packb(header), payload]

    def _confused_inside(self, value: Any) -> Any:
        odd = self._random.choice(ODD_VALUES)
        if isinstance(value, dict):
            key = self._random.choice(list(value))
            return {**value, key: odd} if self._random.random() < 0.7 else {**value, "more": odd}
        at = self._random.randrange(len(value))
        return [*value[:at], odd, *value[at + 1 :]]

    def _shuffled(self) -> list[bytes]:
        random, frames = self._random, self.good()
        kind = random.randrange(4)
        if kind == 0:
            random.shuffle(frames)
        elif kind == 1:
            del frames[random.randrange(3)]
        elif kind == 2:
            frames.insert(random.randrange(4), random.choice(frames))
        else:
            frames = frames * random.choice((0, 2, 30))
        return frames

    def _resized(self) -> list[bytes]:
        random, frames = self._random, self.good()
        size = random.choice((0, 1, 2, 3, 4, 4_096, 4_096, 4_097))
        frames[2] = bytes(size)
        if random.random() < 0.01:
            frames[2] = bytes(MAX_PAYLOAD_BYTES + random.choice((0, 1)))
        return frames

    def renumbered(self, epoch: int, seq: int) -> list[bytes]:
        """Return the frames of a message with another epoch and sequence number."""
        index = self._random.randrange(len(self._stock))
        topic, _, payload = self._stock[index]
        header = {**self._headers[index], "epoch": epoch, "seq": seq}
        return [topic, msgpack.packb(header), payload]
