"""One row of a table: a number that a paper prints, and ours.

Knows: what must stand beside a number for it to be read rightly.
Refuses to know: how either was found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isnan
from typing import Any


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

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, figures to four digits; what is not a number is null."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if isnan(value) else round(value, 4)
    return value
