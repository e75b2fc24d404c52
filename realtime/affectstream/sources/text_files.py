"""Tables in text files as programs and spreadsheets write them.

Knows: marks of byte order, which character parts the columns, and how a number or its absence is
written.
Refuses to know: which columns a table has, and what they mean.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

_NO_NUMBER = re.compile(r"[-+]?(nan(\(\w*\))?|1\.#(ind|qnan|snan)\d*|n/?a|null|none)?\Z", re.I)
_SEPARATORS = (",", ";", "\t")


def text_encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8, or UTF-16 where its first bytes say so.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        begin = file.read(2)
    return "utf-16" if begin in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def column_separator(header: str) -> str | None:
    """Return what parts the columns: a comma, semicolon or tab; None where there is none."""
    counts = {separator: header.count(separator) for separator in _SEPARATORS}
    most = max(_SEPARATORS, key=lambda separator: counts[separator])
    return most if counts[most] else None


def column_names(header: str, separator: str) -> list[str]:
    """Return the columns' names, without quotation marks, spaces and a last name that is empty."""
    names = [name.strip().strip('"').strip() for name in header.split(separator)]
    while names and not names[-1]:
        names.pop()
    return names


def table_rows(path: Path, needed: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return the rows of a table whose first line has the columns' names.

    Raises:
        OSError, ValueError, csv.Error: it cannot be read, is not text, or lacks a needed column.
    """
    with path.open(newline="", encoding=text_encoding(path)) as table:
        separator = column_separator(table.readline()) or ","
        table.seek(0)
        reader = csv.DictReader(table, delimiter=separator)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if not set(needed) <= set(reader.fieldnames):
            raise ValueError(f"{path} needs the columns {' and '.join(needed)}")
        return list(reader)


def table_number(text: str) -> float:
    """Return a number; NaN where the cell is empty or says that there is none.

    A comma stands for the point in tables whose columns are parted otherwise. C's runtime on
    Windows writes NaN as ``-nan(ind)`` or ``-1.#IND``.

    Raises:
        ValueError: it is something else.
    """
    try:
        return float(text)
    except ValueError:
        word = text.strip().strip('"').strip()
    if _NO_NUMBER.match(word):
        return math.nan
    return float(word.replace(",", "."))
