"""Cases guided by coverage: atheris searches bytes that reach new code, in a process of its own.

Atheris is optional. Where it is not installed nothing is guided.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

GUIDED = ("codec", "mocap", "emo-evaluation", "toml")
SHARE = 0.02
_DONE = re.compile(r"Done (\d+) runs")


@dataclass(frozen=True, slots=True)
class GuidedRun:
    """What one target did with guided cases; ``said`` is the end of what it wrote if it crashed."""

    target: str
    runs: int
    crashed: bool
    said: str = ""


def atheris_installed() -> bool:
    """Return whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def run_guided(name: str, runs: int, seed: int) -> GuidedRun:
    """Let atheris try ``runs`` inputs on one target."""
    with TemporaryDirectory() as corpus:
        command = [sys.executable, "-m", "affectstream_tools.trials.fuzzing.coverage_guided", name]
        options = [f"-runs={runs}", f"-seed={seed}", "-max_len=4096", "-timeout=20", corpus]
        ended = subprocess.run(
            [*command, f"-artifact_prefix={corpus}/", *options],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    done = _DONE.search(ended.stderr)
    count = int(done.group(1)) if done else 0
    crashed = ended.returncode != 0 or done is None
    return GuidedRun(name, count, crashed, ended.stderr[-2_000:] if crashed else "")


def _main(name: str, options: list[str]) -> None:
    """Run atheris on one target until it has done its runs; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["affectstream", "tomllib"]):
        from affectstream_tools.trials.fuzzing.all_targets import TARGETS
        from affectstream_tools.trials.fuzzing.runs import episode_random

        target = TARGETS[name].make()
    good = next(target.cases(episode_random(name, 0, 0)))

    def give(data: bytes) -> None:
        parts = data.split(b"\n\n\n") if name != "codec" else _frames(data)
        target.give([*parts, *good[len(parts) :]][: max(1, len(good))])

    _seed_corpus(Path(options[-1]), name, [list(good)])
    atheris.Setup([sys.argv[0], *options], give)
    atheris.Fuzz()


def _frames(data: bytes) -> list[bytes]:
    """Split into topic, header and payload; the first bytes are the lengths of the first two."""
    if len(data) < 3:
        return [data]
    topic, header = data[0], int.from_bytes(data[1:3], "little")
    rest = data[3:]
    return [rest[:topic], rest[topic : topic + header], rest[topic + header :]]


def _seed_corpus(folder: Path, name: str, cases: list[list[bytes]]) -> None:
    for number, case in enumerate(cases):
        data = b"\n\n\n".join(case)
        if name == "codec" and len(case) == 3:
            data = bytes([len(case[0])]) + len(case[1]).to_bytes(2, "little") + b"".join(case)
        (folder / f"seed{number}").write_bytes(data)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
