"""The fuzzer: what it makes is what it says, it notices every defect, and finds none in ours."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from affectstream.codec import DecodeError, decode, encode
from affectstream.errors import AffectstreamError
from affectstream.messages import MESSAGE_KINDS
from affectstream_tools.commands.app import lab
from affectstream_tools.trials.fuzzing import coverage_guided, runs
from affectstream_tools.trials.fuzzing.all_targets import TARGETS, names_of, run_apart
from affectstream_tools.trials.fuzzing.frames import FrameSpoiler
from affectstream_tools.trials.fuzzing.messages import MessageMaker
from affectstream_tools.trials.fuzzing.report import FUZZ_REPORT, FuzzReport
from affectstream_tools.trials.fuzzing.runs import (
    CaseTooSlow,
    FuzzCase,
    TargetOutcome,
    checked_sentence,
    episode_random,
    load_failure,
    run_again,
    run_target,
)
from affectstream_tools.trials.fuzzing.spoiling import spoiled_bytes, spoiled_text
from affectstream_tools.trials.fuzzing.targets.good_stream import StreamChecker, good_message

SMALL = {"codec": 2_000, "inlet": 2_000, "node": 1_500, "bus": 400, "wav": 300, "mocap": 100}
SMALL |= {"emo-evaluation": 60, "toml": 300, "derived": 200}


@pytest.fixture(autouse=True, scope="module")
def only_new_garbage() -> None:
    """Leave what other tests hold out of the many searches for garbage here."""
    gc.collect()
    gc.freeze()


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_what_the_maker_makes_a_codec_accepts(seed: int) -> None:
    maker = MessageMaker(Random(seed))
    for _ in range(20):
        message = maker.any()
        assert decode(encode(message)) == message


@given(st.binary(max_size=300), st.text(max_size=200), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_anything_can_be_spoiled(data: bytes, text: str, seed: int) -> None:
    random = Random(seed)
    assert isinstance(spoiled_bytes(data, random), bytes)
    assert isinstance(spoiled_text(text.encode(errors="replace").decode(), random), bytes)


def test_every_kind_is_made_and_most_of_what_is_spoiled_is_refused() -> None:
    random = Random(1)
    maker = MessageMaker(random)
    assert {maker.any().kind for _ in range(500)} == set(MESSAGE_KINDS)
    spoiler, refused = FrameSpoiler(random, stock=100), set()
    for _ in range(2_000):
        try:
            decode(spoiler.next())
        except DecodeError as error:
            refused.add(error.reason)
    assert refused >= {"frames", "too large", "not MessagePack", "version", "unknown kind"}
    assert refused >= {"field", "topic", "payload"}


@pytest.mark.parametrize("name", SMALL)
def test_no_target_has_a_defect(name: str) -> None:
    found = run_target(name, TARGETS[name].make, SMALL[name], seed=7)
    assert found.failures == []
    assert found.cases == SMALL[name] == found.accepted + sum(found.refused.values())
    assert found.accepted


@pytest.mark.parametrize("name", ["codec", "inlet", "wav", "derived"])
def test_the_same_seed_gives_the_same_cases(name: str) -> None:
    one, other, another = (_first(name, seed) for seed in (3, 3, 4))
    assert one == other
    assert one != another


def _first(name: str, seed: int) -> list[list[bytes]]:
    target = TARGETS[name].make()
    try:
        return [list(case) for case in islice(target.cases(episode_random(name, seed, 0)), 50)]
    finally:
        target.finish()


class Bad:
    """A target with a defect at its 30th case."""

    stateful = False

    def __init__(self, *, defect: str = "raise", stateful: bool = False) -> None:
        self.stateful, self._defect, self._given = stateful, defect, 0

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        while True:
            yield [random.randbytes(4)]

    def give(self, case: FuzzCase) -> str:
        self._given += 1
        if self.stateful and self._given == 30:
            raise KeyError("thirty")
        if not self.stateful and case[0][0] == 0:
            if self._defect == "hang":
                time.sleep(60)
            elif self._defect == "spin":
                until = time.thread_time() + 0.1
                while time.thread_time() < until:
                    pass
            else:
                raise KeyError("a zero")
        return "accepted"

    def finish(self) -> None:
        if self._defect == "finish":
            raise AssertionError("something is missing")


@pytest.mark.parametrize("stateful", [False, True])
def test_a_defect_is_saved_and_can_be_run_again(tmp_path: Path, stateful: bool) -> None:
    found = run_target("bad", lambda: Bad(stateful=stateful), 1_000, seed=1)
    failure = load_failure(found.failures[0].save(tmp_path))
    assert failure.error.startswith("KeyError: ")
    assert failure.where.startswith("test_fuzzing.py:")
    with pytest.raises(KeyError):
        run_again(failure, Bad(stateful=stateful))
    with pytest.raises(AffectstreamError, match="no case of ours"):
        load_failure(Path(__file__))


@pytest.mark.parametrize("defect", ["hang", "spin", "finish"])
def test_what_hangs_is_slow_or_misses_something_is_a_defect(
    defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "HANG_S", 0.2)
    monkeypatch.setattr(runs, "SLOW_S", 0.05)
    monkeypatch.setattr(runs, "MOST_FAILURES", 1)
    found = run_target("bad", lambda: Bad(defect=defect), 400, seed=1)
    expected = "AssertionError: something" if defect == "finish" else CaseTooSlow.__name__
    assert found.failures[-1 if defect == "finish" else 0].error.startswith(expected)


@pytest.mark.parametrize("said", ["", "two\nlines", "x" * 1_000])
def test_what_is_no_sentence_is_a_defect(said: str) -> None:
    with pytest.raises(AssertionError):
        checked_sentence(AffectstreamError(said))


def test_a_good_stream_with_a_hole_is_a_defect() -> None:
    following = StreamChecker(epoch=0)
    assert following.take([good_message(0)]) == 1
    with pytest.raises(AssertionError, match="not 0"):
        following.take([msgspec.structs.replace(good_message(1), seq=5)])


def test_a_target_runs_in_a_process_of_its_own_and_its_report_is_read_again(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = run_apart("toml", 500, 1, lambda done, count: told.append((done, count)))
    assert (found.cases, found.failures) == (100, [])
    assert told[-1] == (100, 100)
    report = FuzzReport([found, TargetOutcome("codec")], [], 1, "affectstream-lab fuzz")
    FUZZ_REPORT.save(report, tmp_path)
    assert FUZZ_REPORT.load(tmp_path) == report
    assert "| toml | 100 |" in (tmp_path / "fuzz.md").read_text()
    printed = CliRunner().invoke(lab, ["fuzz", "--report", "--out", str(tmp_path), "--json"])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout.splitlines()[-1]) == report.to_dict()


def test_a_target_that_is_none_is_said_with_a_remedy() -> None:
    with pytest.raises(AffectstreamError, match="choose all or one of codec, inlet"):
        names_of("telephone")
    assert names_of("all") == tuple(TARGETS)


@pytest.mark.skipif(not coverage_guided.atheris_installed(), reason="atheris is not installed")
def test_coverage_guides_the_codec_where_atheris_is_installed() -> None:
    guided = coverage_guided.run_guided("codec", 200, seed=1)
    assert (guided.runs, guided.crashed, guided.said) == (200, False, "")
