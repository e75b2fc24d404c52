"""``bench microphone``: its finder, its report, and one real disturbance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.messages import Audio
from affectstream_tools.bench.microphone.report import (
    MICROPHONE_REPORT,
    MicrophoneReport,
)
from affectstream_tools.bench.microphone.stress import (
    DISTURBANCES,
    RATE_HZ,
    BlockFinder,
    DisturbanceOutcome,
    measure_disturbance,
)
from affectstream_tools.bench.microphone.virtual import missing_packages
from affectstream_tools.commands.app import lab
from conftest import lacks

ROW = DisturbanceOutcome("unplugged", 300, 4800, 4800, (0.1, 0.2), ("device lost",), 500, 400)
HUNG = DisturbanceOutcome("hangs", None, None, None, None, (), None, 1700)


def block(samples: np.ndarray, start_ns: int) -> Audio:
    return Audio(
        session="s1",
        source="mic.you",
        first_sample=0,
        sample_rate_hz=RATE_HZ,
        start_ns=start_ns,
        payload=samples.astype("<i2").tobytes(),
    )


def test_a_block_that_lies_elsewhere_than_it_says_is_found_out() -> None:
    noise = np.random.default_rng(3).normal(0, 3000, 5 * RATE_HZ).astype(np.int16)
    finder = BlockFinder(noise)
    assert finder.offset_ms(block(noise[8_000:9_600], 10_000_000_000)) == 0
    assert finder.offset_ms(block(noise[16_000:17_600], 10_507_000_000)) == pytest.approx(7)


def test_a_report_is_read_as_it_was_saved(tmp_path: Path) -> None:
    report = MicrophoneReport([ROW, HUNG], "2026-01-01T00:00:00+00:00", "affectstream-lab bench")
    MICROPHONE_REPORT.save(report, tmp_path)
    assert MICROPHONE_REPORT.load(tmp_path) == report
    assert "| unplugged | 300 | 4800 | 4800 | 0.1 | 0.2 | device lost | 400 |" in (
        tmp_path / "microphone.md"
    ).read_text(encoding="utf-8")
    shown = CliRunner().invoke(
        lab, ["bench", "microphone", "--report", "--out", str(tmp_path), "--json"]
    )
    assert json.loads(shown.stdout.splitlines()[-1])["rows"][0]["missing"] == 4800


def test_without_a_saved_report_the_remedy_is_named(tmp_path: Path) -> None:
    shown = CliRunner().invoke(lab, ["bench", "microphone", "--report", "--out", str(tmp_path)])
    assert shown.exit_code == 1
    assert "run the command without --report first" in shown.stderr


def test_what_an_unplugged_microphone_misses_is_said_to_the_sample() -> None:
    if missing := missing_packages():
        lacks(f"the packages {' '.join(missing)}")
    (unplugged,) = [d for d in DISTURBANCES if d.name == "unplugged for 0.3 s"]
    outcome = measure_disturbance(unplugged)
    assert outcome.missing
    assert outcome.said == outcome.missing
    assert "device lost" in outcome.reasons
    assert outcome.error_ms is not None
    assert outcome.error_ms[0] < 45  # a sound server's own delay may differ by two fragments
