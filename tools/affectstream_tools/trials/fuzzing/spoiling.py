"""Spoils bytes, lines of text and values in the ways that programs get wrong.

Bits flipped, pieces cut, repeated or inserted, numbers overwritten, values of every odd type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

import msgpack


def nested(depth: int) -> Any:
    """Return ``depth`` lists, each in the next."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


_INTEGERS = (
    0,
    1,
    -1,
    2**31,
    2**32 - 1,
    2**53,
    2**61,
    2**62 - 1,
    2**62,
    2**63 - 1,
    2**64 - 1,
    -(2**63),
)
_FLOATS = (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 0.5)
TEXTS = (
    "",
    " ",
    "\n",
    "\0",
    "a/b",
    "a b",
    "é",
    "\u202e",
    "x" * 120,
    "x" * 121,
    "9" * 5_000,
    "x" * 70_000,
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, b"", b"\xff\xfe", [], {}, [[], []], {"a": {"b": {}}}),
    *(msgpack.ExtType(5, b""), {b"key": 1}, [None] * 50, nested(5), nested(7), nested(400)),
    *_INTEGERS,
    *_FLOATS,
    *TEXTS,
)
"""What is written in place of a field's value."""

_NUMBERS = (
    *(
        "0",
        "-1",
        "1e308",
        "-1e308",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1e-320",
        "9" * 400,
        "1" + "0" * 5_000,
    ),
    *("1_0", "0x10", "٣", "1,5", "", " ", "1e9", "86400", "4294967296", "9223372036854775808"),
)
"""What is written in place of a number in a text."""

_LONGEST = 200_000


def spoiled_bytes(data: bytes, random: Random) -> bytes:
    """Return ``data`` changed one to four times."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = _CHANGES[random.randrange(len(_CHANGES))](data, random)
    return data


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def _set(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + random.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) + data[at + 1 :]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randrange(1, 40) :]


def _repeat(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    piece = data[at : at + random.randrange(1, 40)]
    most = _LONGEST // max(1, len(piece))
    return data[:at] + piece * min(random.choice((1, 2, 50, 3_000)), most) + data[at:]


def _insert(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.randrange(1, 9)) + data[at:]


def _integer(data: bytes, random: Random) -> bytes:
    """Overwrite 16, 32 or 64 bits with an odd number: lengths and counts are stored so."""
    size = random.choice((2, 4, 8))
    if len(data) < size:
        return data
    at = random.randrange(len(data) - size + 1)
    value = random.choice(_INTEGERS) & ((1 << 8 * size) - 1)
    order: Literal["little", "big"] = "little" if random.random() < 0.7 else "big"
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


_CHANGES = (_flip, _flip, _set, _cut, _remove, _repeat, _insert, _integer)


def spoiled_text(text: str, random: Random) -> bytes:
    """Return a text file with lines, fields or bytes spoiled."""
    kind = random.randrange(10)
    if kind < 3:
        return spoiled_bytes(text.encode(), random)
    lines = text.split("\n")
    for _ in range(random.choice((1, 1, 3))):
        at = random.randrange(len(lines))
        lines[at] = _spoiled_line(lines, at, random)
    if kind == 9:
        random.shuffle(lines)
    ending = random.choice(("\n", "\n", "\n", "\r\n", "\r", "\u2028"))
    data = ending.join(lines).encode()
    return data if kind != 8 else random.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\0")) + data


def _spoiled_line(lines: Sequence[str], at: int, random: Random) -> str:
    line = lines[at]
    kind = random.randrange(7)
    if kind == 0:
        return ""
    if kind == 1:
        return f"{line}\n{line}"
    if kind == 2:
        return line[: random.randrange(len(line) + 1)]
    separator = next((mark for mark in (",", "\t", " = ") if mark in line), " ")
    fields = line.split(separator)
    field = random.randrange(len(fields))
    if kind == 3:
        fields.insert(field, random.choice(fields))
    elif kind == 4:
        del fields[field]
    elif kind == 5:
        fields[field] = fields[field] * random.choice((2, 40, 2_000))
    else:
        fields[field] = random.choice(_NUMBERS)
    return separator.join(fields)[:_LONGEST]
