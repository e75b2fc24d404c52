"""Many experiments, run side by side, each once.

Knows: jobs, the folder that keeps their outcomes, and that a job may fail alone.
Refuses to know: what a job computes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import Any

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.job_process import JobError, execute


@dataclass(frozen=True, slots=True)
class Job:
    """A function to call in a process of its own, and the name that its outcome is kept under."""

    name: str
    """Unique and like a path: ``t/text-2/session-5/seed-0`` is kept as ``<folder>/<name>.json``."""
    task: str
    """``package.module:function``; the function returns a dict of JSON values."""
    options: Mapping[str, Any]
    """Its keyword arguments, JSON values."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a job returned and what it took."""

    job: Job
    result: dict[str, Any]
    wall_s: float
    peak_mib: float
    """The most resident memory of the job's process, everything it imports included."""
    machine: str


class JobsError(AffectstreamError):
    """Some jobs failed; the others were done and are kept."""

    def __init__(self, failures: Mapping[str, str], outcomes: Mapping[str, JobOutcome]) -> None:
        named = "; ".join(f"{name}: {why}" for name, why in failures.items())
        super().__init__(
            f"{len(failures)} of {len(failures) + len(outcomes)} experiments failed, mend them "
            f"and run again, which keeps the others: {named}"
        )
        self.failures = dict(failures)
        self.outcomes = dict(outcomes)


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    *,
    workers: int = 2,
    cluster: bool = False,
    on_done: Callable[[Job], None] = lambda job: None,
) -> dict[str, JobOutcome]:
    """Run the jobs whose outcome ``folder`` does not keep yet, and return every outcome by name.

    Args:
        jobs: of different names. One whose file has the same task and options is not run again.
        folder: made if need be; a failed job leaves its log there as ``<name>.log``.
        workers: processes at once; one torch thread in each.
        cluster: run them as Ray tasks instead, on ``$RAY_ADDRESS`` or on this machine.
        on_done: called for every job, kept, done or failed.

    Raises:
        JobsError: when all others are done; names each that failed and says why.
        ValueError: two jobs of one name, or a name that is not a path inside the folder.
    """
    _check_names(jobs)
    outcomes, failures = {}, {}
    for job in jobs:
        kept = read_outcome(job, folder)
        if kept is not None:
            outcomes[job.name] = kept
            on_done(job)
    waiting = [job for job in jobs if job.name not in outcomes]
    for job, found in _run(waiting, workers, cluster=cluster):
        if isinstance(found, JobError):
            failures[job.name] = str(found)
            write_whole(_path(job, folder, ".log"), found.log or str(found))
        else:
            outcomes[job.name] = JobOutcome(job, **found)
            _keep(outcomes[job.name], folder)
        on_done(job)
    ordered = {job.name: outcomes[job.name] for job in jobs if job.name in outcomes}
    if failures:
        raise JobsError(failures, ordered)
    return ordered


def read_outcome(job: Job, folder: Path) -> JobOutcome | None:
    """Return what ``folder`` keeps of this very job, or None."""
    try:
        saved = json.loads(_path(job, folder, ".json").read_text(encoding="utf-8"))
        same = saved["job"] == json.loads(json.dumps(_as_dict(job)))
        return JobOutcome(job, **saved["outcome"]) if same else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # nothing, or not from us: it is run and written anew


def forget_outcomes(jobs: Iterable[Job], folder: Path) -> None:
    """Remove what ``folder`` keeps of these jobs, so that they are run again."""
    for job in jobs:
        _path(job, folder, ".json").unlink(missing_ok=True)


def _check_names(jobs: Iterable[Job]) -> None:
    seen: set[str] = set()
    for job in jobs:
        path = PurePosixPath(job.name)
        if not job.name or path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{job.name!r} is no name of a job; use one like t/text-2/seed-0")
        if job.name in seen:
            raise ValueError(f"two jobs are named {job.name}; give each a name of its own")
        seen.add(job.name)


def _run(
    jobs: Sequence[Job], workers: int, *, cluster: bool
) -> Iterator[tuple[Job, dict[str, Any] | JobError]]:
    if not jobs:
        return
    if cluster:
        from affectstream_tools.jobs.cluster import run_on_cluster

        works = run_on_cluster([(job.task, job.options) for job in jobs], workers)
        yield from ((jobs[index], found) for index, found in works)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        running = {pool.submit(_execute, job): job for job in jobs}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _execute(job: Job) -> dict[str, Any] | JobError:
    try:
        return execute(job.task, job.options)
    except JobError as error:
        return error


def _as_dict(job: Job) -> dict[str, Any]:
    return {"name": job.name, "task": job.task, "options": dict(job.options)}


def _keep(outcome: JobOutcome, folder: Path) -> None:
    found = asdict(outcome)
    del found["job"]
    text = json.dumps({"job": _as_dict(outcome.job), "outcome": found}, indent=1)
    write_whole(_path(outcome.job, folder, ".json"), text)
    _path(outcome.job, folder, ".log").unlink(missing_ok=True)


def _path(job: Job, folder: Path, suffix: str) -> Path:
    return folder / f"{job.name}{suffix}"  # not with_suffix: a name may hold a point


def write_whole(path: Path, text: str) -> Path:
    """Write a file whole or not at all, its folder made if need be, and return its path.

    Raises:
        AffectstreamError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(
            "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as part:
            part.write(text)
        os.chmod(part.name, 0o644)  # a temporary file is its maker's alone
        os.replace(part.name, path)
    except OSError as error:
        raise AffectstreamError(
            f"{path} cannot be written ({error.strerror}); choose another folder"
        ) from error
    return path
