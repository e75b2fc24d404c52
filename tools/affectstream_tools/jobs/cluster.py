"""Jobs as Ray tasks, on a cluster or on this machine.

Every task starts the same process of its own that a local run starts, so that the answer, its
time and its memory mean the same. Knows: Ray. Refuses to know: what the jobs are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.job_process import JobError, execute


def run_on_cluster(
    works: Sequence[tuple[str, Mapping[str, Any]]], workers: int
) -> Iterator[tuple[int, dict[str, Any] | JobError]]:
    """Run each (task, options), and yield its place and what :func:`execute` says, as they end.

    They run on the cluster at ``$RAY_ADDRESS``, else on this machine, ``workers`` at once. The
    cluster's machines need affectstream installed and the same folders mounted.

    Raises:
        AffectstreamError: Ray is not installed, or the cluster is not there.
    """
    ray = _connect(workers)
    try:
        # One processor each; a machine that is lost is no reason for a task to fail.
        remote = ray.remote(num_cpus=1, max_retries=2)(_execute)
        running = {remote.remote(task, dict(options)): n for n, (task, options) in enumerate(works)}
        while running:
            done, _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done[0]), _answer(ray, done[0])
    finally:
        ray.shutdown()


def _connect(workers: int) -> Any:
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


def _execute(task: str, options: dict[str, Any]) -> dict[str, Any] | tuple[str, str]:
    try:
        return execute(task, options)
    except JobError as error:  # as plain values, which need no class of ours to be read
        return error.message, error.log


def _answer(ray: Any, reference: Any) -> dict[str, Any] | JobError:
    try:
        found = ray.get(reference)
    except ray.exceptions.RayError as error:
        return JobError(f"was lost by the cluster: {str(error).splitlines()[0]}", str(error))
    return found if isinstance(found, dict) else JobError(*found)
