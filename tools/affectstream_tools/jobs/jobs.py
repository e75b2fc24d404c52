"""Experiments as jobs: run side by side, each in a process of its own, and kept when done.

A job whose outcome is kept is not run again, and one that fails does not stop the others. Jobs run
on this machine or as Ray tasks; this is the only module that imports Ray.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.folders import write_whole
from affectstream_tools.jobs.job_process import JobError, execute

_Found = dict[str, Any] | JobError
"""What :func:`execute` says of a job, or why it failed."""


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
        AffectstreamError: there is no Ray or no cluster, or a file cannot be written.
        JobsError: when all others are done; names each that failed and says why.
        ValueError: two jobs of one name, or a name that is not a path inside the folder.
    """
    _check_names(jobs)
    outcomes = {job.name: kept for job in jobs if (kept := read_outcome(job, folder)) is not None}
    for outcome in outcomes.values():
        on_done(outcome.job)
    failures: dict[str, str] = {}
    waiting = [job for job in jobs if job.name not in outcomes]
    run = _run_on_cluster if cluster else _run_here
    for job, found in run(waiting, workers) if waiting else ():
        if isinstance(found, JobError):
            failures[job.name] = str(found)
            write_whole(_path(job, folder, ".log"), found.log or str(found))
        else:
            outcomes[job.name] = _keep(JobOutcome(job, **found), folder)
        on_done(job)
    ordered = {job.name: outcomes[job.name] for job in jobs if job.name in outcomes}
    if failures:
        raise JobsError(failures, ordered)
    return ordered


def read_outcome(job: Job, folder: Path) -> JobOutcome | None:
    """Return the kept outcome of a job with the same task and options, or None."""
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


def _run_here(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, _Found]]:
    pool = ThreadPoolExecutor(workers)
    try:
        running = {pool.submit(_execute, job): job for job in jobs}
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _run_on_cluster(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, _Found]]:
    """Run the jobs as Ray tasks; each starts the process that a local run starts.

    The cluster is the one at ``$RAY_ADDRESS``, else this machine with ``workers`` processors. Its
    machines need affectstream installed and the same folders mounted.
    """
    ray = _connected(workers)
    try:
        # One processor each; a machine that is lost is no reason for a task to fail.
        remote = ray.remote(num_cpus=1, max_retries=2)(_execute)
        running = {remote.remote(job): job for job in jobs}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            try:
                found: _Found = ray.get(done)
            except ray.exceptions.RayError as error:
                why = str(error)
                found = JobError(f"was lost by the cluster: {why.splitlines()[0]}", why)
            yield running.pop(done), found
    finally:
        ray.shutdown()


def _connected(workers: int) -> Any:
    """Return Ray, connected; raises ``AffectstreamError`` without Ray or without a cluster."""
    # Ray reports its use to its makers unless told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise AffectstreamError(
            "a cluster needs Ray; pip install 'affectstream[cluster]', or leave --cluster out"
        ) from error
    address = os.environ.get("RAY_ADDRESS")
    try:
        ray.init(
            address=address or "local",
            num_cpus=None if address else workers,
            include_dashboard=None if address else False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise AffectstreamError(
            f"no Ray cluster answers at {address or 'this machine'} ({error}); "
            "check RAY_ADDRESS and `ray status`, or leave --cluster out"
        ) from error
    return ray


def _execute(job: Job) -> _Found:
    try:
        return execute(job.task, job.options)
    except JobError as error:
        return error


def _as_dict(job: Job) -> dict[str, Any]:
    return {"name": job.name, "task": job.task, "options": dict(job.options)}


def _keep(outcome: JobOutcome, folder: Path) -> JobOutcome:
    found = asdict(outcome)
    del found["job"]
    text = json.dumps({"job": _as_dict(outcome.job), "outcome": found}, indent=1)
    write_whole(_path(outcome.job, folder, ".json"), text)
    _path(outcome.job, folder, ".log").unlink(missing_ok=True)
    return outcome


def _path(job: Job, folder: Path, suffix: str) -> Path:
    return folder / f"{job.name}{suffix}"  # not with_suffix: a name may hold a point
