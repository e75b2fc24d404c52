"""One row of a table: a number that a paper prints, and ours.

Knows: what must stand beside a number for it to be read rightly, and the papers' order of rows.
Refuses to know: how either number was found, and how rows are printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

from affectstream_tools.studies.tables.papers import PRINTED, QUOTED

CEILING_WORDS = "the best decisions reach"
"""In ``data`` these words stand before the score of whoever knows the corpus's true model."""

_CEILING = re.compile(rf"; {CEILING_WORDS} (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row of one of the papers' tables. Figures are per cent."""

    table: str
    """``t1`` .. ``t5``: Tripathi and Beigi 2018; ``w2``, ``w3``: Woellmer et al. 2010."""
    row: str
    """The paper's row, such as ``Model 2: LSTM, GloVe``."""
    metric: str
    """accuracy, uar, precision, f1 ..."""
    paper: float | None
    """As printed; None where the paper has no such row, or its number could not be verified."""
    ours: float | None
    """None where it cannot be run; ``data`` then says why."""
    data: str
    """What ours was measured on; a stand-in names itself as one: ``..., not IEMOCAP``."""
    protocol: str
    """``random 20 %``, ``session 5``, ``speaker (W's folds)``, ``session folds``, ``scenario``."""
    part: str = "all"
    """``all``, or ``improvised`` dialogues only."""
    selected: str = "development"
    """The part that chose the epoch: ``development``, or ``test``."""
    look_ahead: str = "none"
    """Later utterances seen: ``none`` (each by itself), ``causal``, 1, 2, 4, 8, ``full``."""
    chance: float | None = None
    runs: int = 1
    """Folds x seeds."""
    sd: float | None = None
    """Standard deviation over the runs."""
    wall_s: float | None = None
    peak_mib: float | None = None

    @property
    def stands_in(self) -> bool:
        """Whether ours was measured on something other than IEMOCAP."""
        return "not IEMOCAP" in self.data or not self.data.startswith("IEMOCAP")

    @property
    def ceiling(self) -> float | None:
        """What the best possible decisions score on the same utterances, per cent, if known."""
        found = _CEILING.search(self.data)
        return float(found[1]) if found else None

    @property
    def data_parts(self) -> list[str]:
        """The corpus, then what else ``data`` says of it; the ceiling is left out."""
        return re.split("[;:] ", _CEILING.sub("", self.data))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, figures to four digits; what is not a number is null."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if isnan(value) else round(value, 4)
    return value


def completed(rows: Iterable[TableRow], tables: Sequence[str]) -> list[TableRow]:
    """Return the rows of these tables in the papers' order; none of the papers' rows is missing.

    Where a paper's row has some metric of ours, its other metrics are added only if the paper's
    number is known.
    """
    ours: dict[tuple[str, str, str], list[TableRow]] = {}
    for row in rows:
        ours.setdefault((row.table, row.row, row.metric), []).append(row)
    present = {key[:2] for key in ours}
    found = []
    for table in tables:
        named = list(dict.fromkeys(key[1] for key in (*PRINTED, *ours) if key[0] == table))
        keys = dict.fromkeys(key for key in (*PRINTED, *ours) if key[0] == table)
        for key in sorted(keys, key=lambda key: named.index(key[1])):
            if key in ours:
                found += ours[key]
            elif PRINTED[key] is not None or key[:2] not in present:
                found.append(_missing(*key))
    return found


def _missing(table: str, row: str, metric: str) -> TableRow:
    return TableRow(
        table=table,
        row=row,
        metric=metric,
        paper=PRINTED[table, row, metric],
        ours=None,
        data="another work, quoted by the paper" if row in QUOTED else "not run",
        protocol="",
        selected="",
        look_ahead="",
        runs=0,
    )
