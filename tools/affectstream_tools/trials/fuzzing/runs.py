"""Gives a target its cases: notes what it answers, its time and its memory, and keeps defects."""

from __future__ import annotations

import base64
import gc
import json
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Protocol

from affectstream.errors import AffectstreamError

HANG_S = 20.0
"""Wall time after which a case counts as hung; long, as other programs may be running."""

SLOW_S = 1.0
"""Processor time that a case may take at most."""

_LONGEST_SENTENCE = 600
_EPISODE = 100_000
MOST_FAILURES = 20

FuzzCase = Sequence[bytes]
"""A case: the frames of a message, or the contents of files."""


class Target(Protocol):
    """A part of the system under test."""

    stateful: bool
    """Whether what a case does depends on those before it."""

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield cases for ever."""

    def give(self, case: FuzzCase) -> str:
        """Give a case; return ``accepted`` or the short reason for which it was refused.

        Raises:
            Exception: a defect.
        """

    def finish(self) -> None:
        """Check what can only be checked after the last case, and close everything."""


class CaseTooSlow(Exception):  # noqa: N818 - what it is called in a report
    """A case hung, or took more than ``SLOW_S`` of processor time."""


@dataclass(slots=True)
class Failure:
    """A defect: the case, how to make it again, and the error."""

    target: str
    seed: int
    episode: int
    number: int
    error: str
    where: str = ""
    case: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> Path:
        """Write it to a file from which it can be run again; return the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.target}-{self.seed}-{self.episode}-{self.number}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path


@dataclass(slots=True)
class TargetOutcome:
    """What one target did with its cases.

    Attributes:
        refused: how many cases, by the reason for which they were refused.
        seconds: of processor time.
        growth_mib: the most memory during the second half, less the most during the first.
    """

    target: str
    cases: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    slowest_ms: float = 0.0
    growth_mib: float = 0.0
    peak_mib: float = 0.0


def run_target(
    name: str,
    make: Callable[[], Target],
    count: int,
    seed: int,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> TargetOutcome:
    """Give ``count`` cases to a target; every 100,000 cases it is made anew."""
    found = TargetOutcome(name)
    began_s = time.process_time()
    memory: list[float] = []
    for episode in range(-(-count // _EPISODE)):
        target = make()
        size = min(_EPISODE, count - found.cases)
        if len(found.failures) < MOST_FAILURES:
            _episode(found, target, seed, episode, size, memory, on_progress)
    found.seconds = round(time.process_time() - began_s, 1)
    found.growth_mib = round(_growth(memory), 1)
    found.peak_mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return found


def episode_random(name: str, seed: int, episode: int) -> Random:
    """Return the source of all of one episode's choices."""
    return Random(f"{name}/{seed}/{episode}")


def run_again(failure: Failure, target: Target) -> str:
    """Give a saved case again, for a stateful target all before it too; return the answer.

    Raises:
        Exception: the defect is still there.
    """
    if not target.stateful:
        return _give(target, [base64.b64decode(part) for part in failure.case])
    random = episode_random(failure.target, failure.seed, failure.episode)
    said = ""
    for number, case in enumerate(target.cases(random)):
        said = _give(target, case)
        if number >= failure.number:
            break
    target.finish()
    return said


def _episode(
    found: TargetOutcome,
    target: Target,
    seed: int,
    episode: int,
    size: int,
    memory: list[float],
    on_progress: Callable[[int], None],
) -> None:
    step = max(1, size // 10)
    case: FuzzCase = ()
    number = 0
    try:
        with _alarm():
            for number, case in enumerate(
                target.cases(episode_random(found.target, seed, episode))
            ):
                if number >= size:
                    break
                found.cases += 1
                try:
                    _count(found, target, case)
                except Exception as error:  # noqa: BLE001 - any error is a defect
                    _note(found, error, seed, episode, number, case)
                    if target.stateful or len(found.failures) >= MOST_FAILURES:
                        return
                if found.cases % step == 0:
                    memory.append(_resident_mib())
                    on_progress(found.cases)
    finally:
        try:
            target.finish()
        except Exception as error:  # noqa: BLE001 - any error is a defect
            _note(found, error, seed, episode, number, case)


def _count(found: TargetOutcome, target: Target, case: FuzzCase) -> None:
    began_s = time.thread_time()
    said = _give(target, case)
    took_s = time.thread_time() - began_s
    found.slowest_ms = max(found.slowest_ms, round(1000 * took_s, 1))
    if took_s > SLOW_S:
        raise CaseTooSlow(f"it took {took_s:.1f} s")
    if said == "accepted":
        found.accepted += 1
    else:
        found.refused[said] = found.refused.get(said, 0) + 1


def _give(target: Target, case: FuzzCase) -> str:
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        return target.give(case)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _note(
    found: TargetOutcome, error: Exception, seed: int, episode: int, number: int, case: FuzzCase
) -> None:
    where = traceback.extract_tb(error.__traceback__)[-1]
    encoded = [base64.b64encode(part).decode() for part in case]
    if sum(map(len, encoded)) > 1_000_000:
        encoded = []  # it is made again from the seed
    found.failures.append(
        Failure(
            target=found.target,
            seed=seed,
            episode=episode,
            number=number,
            error=f"{type(error).__name__}: {error}"[:_LONGEST_SENTENCE],
            where=f"{Path(where.filename).name}:{where.lineno}",
            case=encoded,
        )
    )


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_: int, frame: FrameType | None) -> None:
        raise CaseTooSlow(f"no answer after {HANG_S:.0f} s, in {frame and frame.f_code.co_name}")

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _growth(memory: Sequence[float]) -> float:
    """Return the most of the second half less the most of the first, in MiB."""
    half = len(memory) // 2
    if not half:
        return 0.0
    return max(memory[half:]) - max(memory[:half])


def checked_sentence(error: Exception) -> str:
    """Return the error's text, which must be one line that a person can read.

    Raises:
        AssertionError: it has several lines, none, or more than 600 characters.
    """
    said = str(error)
    assert said, f"a {type(error).__name__} that says nothing"
    assert len(said.splitlines()) == 1, f"several lines: {said[:200]!r}"
    assert len(said) <= _LONGEST_SENTENCE, f"{len(said)} characters: {said[:200]!r}"
    return said


def load_failure(path: Path) -> Failure:
    """Read a file that ``Failure.save`` wrote.

    Raises:
        AffectstreamError: it is no such file.
    """
    try:
        return Failure(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise AffectstreamError(
            f"{path} is no case of ours ({error}); name a file that `fuzz` has saved"
        ) from error
