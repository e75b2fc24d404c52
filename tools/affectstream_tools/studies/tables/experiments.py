"""What the study of a paper offers to whoever fills the paper's tables.

Knows: four functions and what they return.
Refuses to know: which papers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from affectstream_tools.jobs.jobs import Job, JobOutcome
from affectstream_tools.studies.tables.report import ConfusionTable
from affectstream_tools.studies.tables.rows import TableRow


class ListsJobs(Protocol):
    """A function that names a paper's experiments."""

    def __call__(
        self, data: Path, cache: Path, *, seeds: Sequence[int] = (0,), small: bool = False
    ) -> list[Job]:
        """Return every experiment that the corpora in ``data`` allow.

        Args:
            data: the folder of corpora.
            cache: where features and the synthetic corpus lie.
            seeds: a job for each, where the experiment draws anything.
            small: few experiments, on few utterances.
        """
        ...


@dataclass(frozen=True, slots=True)
class PaperExperiments:
    """The experiments of one paper. Outcomes are given by the name of their job."""

    jobs: ListsJobs
    tables_of: Callable[[Job], frozenset[str]]
    """The tables, such as ``t3``, that need a job."""
    rows: Callable[[Mapping[str, JobOutcome]], list[TableRow]]
    """Every row of the paper's tables, in the paper's order."""
    confusions: Callable[[Mapping[str, JobOutcome]], list[ConfusionTable]]
    """Matrices of confusion, of any of the paper's tables."""
