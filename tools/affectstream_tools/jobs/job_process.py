"""A process that runs one job, and the time and memory that it took.

The process takes ``{"task", "options"}`` as one line of JSON on stdin and answers with one on
stdout. It ends when its stdin does, so that no job outlives the run that started it.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from affectstream.errors import AffectstreamError

# One thread: several jobs run side by side, and another number of threads changes last digits.
# In the environment, because every library of the job reads it when it is loaded.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_SAME_DIGITS = {"MKL_CBWR": "AUTO,STRICT", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


class JobError(AffectstreamError):
    """A job that did not end well."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message, log)
        self.message = message
        self.log = log
        """All that the job wrote to stderr."""

    def __str__(self) -> str:
        return self.message


def execute(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run ``task`` (``package.module:function``) in a process of its own.

    Returns:
        ``result`` (what the function returned), ``wall_s``, ``peak_mib`` and ``machine``.

    Raises:
        JobError: the function raised, or the process was killed.
    """
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "affectstream_tools.jobs.job_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**_SAME_DIGITS, **os.environ, **_ONE_THREAD},
        )
        with process:
            try:
                answer = _ask(process, {"task": task, "options": dict(options)})
            except BaseException:
                process.kill()
                raise
        log.seek(0)
        said = log.read().decode(errors="replace")
    if process.returncode or not answer.strip():
        raise JobError(_why(process.returncode, said), said)
    found: dict[str, Any] = json.loads(answer)
    return found


def _ask(process: subprocess.Popen[bytes], question: dict[str, Any]) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise TypeError("a job's process needs pipes")
    try:
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:  # it died at once; its status and log say why
        return b""
    answer = process.stdout.read()
    process.wait()  # before stdin is closed, which would cut its last words short
    return answer


def _why(status: int, log: str) -> str:
    if status < 0:
        return f"was killed by signal {-status} (9 is often want of memory: use fewer workers)"
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"ended with status {status} and said nothing"


def _perform(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run ``task`` in this process; see :func:`execute`."""
    module, _, name = task.partition(":")
    begin_s = time.perf_counter()
    result = getattr(import_module(module), name)(**options)
    wall_s = time.perf_counter() - begin_s
    if not isinstance(result, dict):
        raise TypeError(f"{task} returned {type(result).__name__}; a job returns a dict")
    return {
        "result": result,
        "wall_s": round(wall_s, 3),
        "peak_mib": round(peak_mib(), 1),
        "machine": machine(),
    }


def peak_mib() -> float:
    """Return the most resident memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, which on Linux a new process inherits from the one that started it.
        lines = status.read_text().splitlines()
        sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        if sizes:
            return int(sizes[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def machine() -> str:
    """Return what this process runs on: processors, Python, torch, and a GPU where it uses one."""
    parts = [f"{os.cpu_count()} x {_processor()}", f"Python {platform.python_version()}"]
    try:
        parts.append(f"torch {version('torch')}")
    except PackageNotFoundError:
        parts.append("no torch")
    torch = sys.modules.get("torch")  # a job without torch is not made to load it
    if torch is not None and torch.cuda.is_available():
        parts.append(f"GPU {torch.cuda.get_device_name()}")
    return ", ".join(parts)


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def _main() -> None:
    """Read the job from stdin, run it, and write the answer to stdout."""
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 1)  # not sys.stdin, whose lock a waiting thread would hold at exit
        if not part:
            return
        line += part
    question = json.loads(line)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a job prints is its log
    with answers:
        json.dump(_perform(question["task"], question["options"]), answers)


if __name__ == "__main__":
    _main()
