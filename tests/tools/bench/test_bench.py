"""The benchmarks, small: every figure is there and finite; how quick they are is not tested."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.messages import Observation, Progress, StreamOpened, Transcript, UtteranceEnded
from affectstream_tools.bench.growth import measure_growth
from affectstream_tools.bench.load import SILENCE_NS, DialogueLoad
from affectstream_tools.commands.app import lab

NOW_NS = 1_700_000_000_000_000_000


def bench(*words: str) -> dict[str, object]:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "from affectstream_tools.commands.app import run_lab; run_lab()",
            "bench",
            *words,
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return found


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    assert isinstance(value, int | float)
    return [value]


def test_an_utterance_is_announced_once_everything_about_it_has_been_said() -> None:
    load = DialogueLoad("s", seed=1)
    assert [type(m) for m in load.opening(NOW_NS)] == [StreamOpened, StreamOpened]
    messages = load.utterance(NOW_NS + 10**9)
    ended = messages[-2]
    assert isinstance(ended, UtteranceEnded)
    assert ended.end_ns == NOW_NS + 10**9 - SILENCE_NS
    assert isinstance(messages[-1], Progress)
    assert messages[-1].watermark_ns == ended.end_ns
    assert {type(m) for m in messages[:-2]} >= {Observation, Transcript}


def test_the_load_is_the_same_for_the_same_seed_and_never_goes_back_in_time() -> None:
    one, other = DialogueLoad("s", seed=3), DialogueLoad("s", seed=3)
    one.opening(NOW_NS), other.opening(NOW_NS)
    ends = []
    for turn in range(20):
        now_ns = NOW_NS + turn * 1_000_000
        messages = one.utterance(now_ns)
        assert messages == other.utterance(now_ns)
        ended = messages[-2]
        assert isinstance(ended, UtteranceEnded)
        assert ended.start_ns <= ended.end_ns
        ends.append(ended.end_ns)
    assert np.all(np.diff(ends) > 0)


def test_latency_prints_both_percentiles_for_each_number_of_dialogues() -> None:
    size = ("--dialogues", "1,4", "--utterances", "12", "--warm-up", "3", "--every-s", "0.2")
    found = bench("latency", *size, "--json")
    rows = found["dialogues"]
    assert isinstance(rows, list)
    assert [row["n"] for row in rows] == [1, 4]
    for row in rows:
        assert row["utterances"] == 12
        assert row["missing"] == 0
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]
    assert all(map(math.isfinite, numbers(found)))


def test_growth_prints_the_cost_and_the_memory() -> None:
    found = bench("growth", "--utterances", "40", "--window", "3", "--json")
    assert {"growth", "fusion_mib", "fusion_mib_early", "microphone_mib"} <= found.keys()
    assert found["utterances"] == 40
    assert all(math.isfinite(number) and number > 0 for number in numbers(found))


def test_growth_reports_how_far_it_has_come() -> None:
    steps: list[int] = []
    found = measure_growth(60, seed=0, window=2, on_progress=steps.append)
    assert steps[-1] == 60
    assert steps == sorted(steps)
    assert found["utterances"] == 60


def test_security_prints_what_each_hub_does() -> None:
    found = bench("security", "--messages", "1000", "--repeats", "1", "--json")
    rows = found["hubs"]
    assert isinstance(rows, list)
    assert [row.pop("hub") for row in rows] == ["proxy", "proxy, encrypted", "guarded"]
    assert all(number > 0 and math.isfinite(number) for number in numbers(rows))
    assert all(row["hop_p50_ms"] <= row["hop_p99_ms"] for row in rows)


@pytest.mark.parametrize("words", ["0", "many", "1,,2", ""])
def test_what_are_no_counts_is_refused(words: str) -> None:
    result = CliRunner().invoke(lab, ["bench", "latency", "--dialogues", words])
    assert result.exit_code == 2
    assert "counts" in result.stderr
