"""A bad link by a clock that is moved by hand; and once for real, between two hosts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from affectstream_tools.commands.app import lab
from affectstream_tools.trials.link import cases, link
from affectstream_tools.trials.link.cases import LinkRow, compare_trials, link_report_of, run_cases
from affectstream_tools.trials.link.link import Impairment, LinkScheduler
from affectstream_tools.trials.link.namespaces import missing_for_hosts
from affectstream_tools.trials.link.report import LINK_REPORT
from affectstream_tools.trials.link.trial import LinkCase, TrialOutcome, run_trial
from conftest import lacks
from derived_copy import write_derived

MS = 1_000_000


def come_out(scheduler: LinkScheduler) -> list[tuple[int, int, bytes]]:
    """Let all packets come out; return when, where and which."""
    found = []
    while (now_ns := scheduler.next_wake_ns()) is not None:
        found += [(now_ns, end, packet) for end, packet in scheduler.due(now_ns)]
    return found


def test_a_link_that_does_nothing_carries_packets_at_once_and_in_order() -> None:
    scheduler = LinkScheduler(Impairment())
    scheduler.offer(0, b"a", 5)
    scheduler.offer(0, b"b", 5)
    scheduler.offer(1, b"c", 5)
    assert scheduler.due(5) == [(1, b"a"), (1, b"b"), (0, b"c")]
    assert scheduler.next_wake_ns() is None


def test_a_packet_comes_out_after_its_delay_and_not_before() -> None:
    scheduler = LinkScheduler(Impairment(delay_ms=20))
    scheduler.offer(0, b"a", 0)
    assert scheduler.due(20 * MS - 1) == []
    assert scheduler.next_wake_ns() == 20 * MS
    assert scheduler.due(20 * MS) == [(1, b"a")]


@settings(max_examples=50, deadline=None)
@given(
    loss=st.floats(0, 1),
    jitter_ms=st.floats(0, 300),
    reorder=st.floats(0, 1),
    count=st.integers(0, 200),
    seed=st.integers(0, 1 << 30),
)
def test_each_packet_comes_out_once_within_its_bounds_or_is_counted(
    loss: float, jitter_ms: float, reorder: float, count: int, seed: int
) -> None:
    kind = Impairment(delay_ms=10, jitter_ms=jitter_ms, loss=loss, reorder=reorder)

    def run() -> list[tuple[int, int, bytes]]:
        scheduler = LinkScheduler(kind, seed)
        for number in range(count):
            scheduler.offer(number % 2, b"%d" % number, number * MS)
        found = come_out(scheduler)
        assert len(found) == scheduler.counts["carried"] == count - scheduler.counts["lost"]
        return found

    found = run()
    assert found == run()  # a seed decides
    assert len({packet for _, _, packet in found}) == len(found)
    for at_ns, end, packet in found:
        late_ms = at_ns / MS - int(packet)
        assert end == 1 - int(packet) % 2
        assert late_ms == 0 or 10 <= late_ms <= 10 + jitter_ms + 1e-6


def test_loss_and_overtaking_are_as_frequent_as_they_are_to_be() -> None:
    scheduler = LinkScheduler(Impairment(delay_ms=10, loss=0.1, reorder=0.25), seed=1)
    for number in range(5_000):
        scheduler.offer(0, b"%d" % number, 0)
    found = come_out(scheduler)
    assert 400 < scheduler.counts["lost"] < 600
    overtaking = sum(at_ns == 0 for at_ns, _, _ in found)
    assert 0.22 < overtaking / len(found) < 0.28


def test_nothing_gets_through_a_cut_link_not_even_what_was_under_way() -> None:
    scheduler = LinkScheduler(Impairment(delay_ms=10))
    scheduler.offer(0, b"under way", 0)
    scheduler.cut = True
    scheduler.offer(0, b"during", 1 * MS)
    assert come_out(scheduler) == []
    scheduler.cut = False
    scheduler.offer(0, b"after", 20 * MS)
    assert come_out(scheduler) == [(30 * MS, 1, b"after")]
    assert scheduler.counts == {"cut": 2, "carried": 1}


def test_a_link_holds_so_many_packets_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_UNDER_WAY", 3)
    scheduler = LinkScheduler(Impairment(delay_ms=10))
    for number in range(5):
        scheduler.offer(0, b"%d" % number, 0)
    assert len(come_out(scheduler)) == 3
    assert scheduler.counts["full"] == 2


def outcome(finals: dict[str, dict[str, float]], gaps: list[str] | None = None) -> TrialOutcome:
    return TrialOutcome(
        finals=finals,
        gaps=gaps or [],
        resent=3,
        packets={"carried": 90, "lost": 10},
        worst_off_ms=-1.25,
        last_off_ms=0.5,
        drift_ppm=-190.0,
        error_ms=20.0,
        seconds=12.0,
    )


def rows() -> list[LinkRow]:
    heard = [
        outcome({"d/1": {"anger": 0.5}, "d/2": {"anger": 0.25}}),
        outcome({"d/1": {"anger": 0.5}, "d/2": {"anger": 0.75}}, ["d: 1 emotion of fusion: why"]),
        outcome({"d/1": {"anger": 0.5 + 1e-6}}),
    ]
    named = [LinkCase(name="good"), LinkCase(name="bad", drift_ppm=200), LinkCase(name="worse")]
    return list(run_cases(named, lambda case: heard[named.index(case)]))


def test_each_case_is_compared_with_the_undisturbed_one() -> None:
    good, bad, worse = rows()
    assert (good.same, good.finals, good.difference) == (2, 2, 0.0)
    assert (bad.same, bad.difference, bad.true_drift_ppm) == (1, 0.5, -200)
    assert (worse.same, worse.finals) == (1, 2)
    other = compare_trials(
        LinkCase(name="x"), outcome({"d/1": {"joy": 1.0}}), outcome({"d/1": {"anger": 1}})
    )
    assert other.same == 0


def test_a_report_is_saved_and_printed_again(tmp_path: Path) -> None:
    made = link_report_of(rows(), ["d"], "affectstream-lab link --data DIR")
    LINK_REPORT.save(made, tmp_path)
    assert LINK_REPORT.load(tmp_path) == made
    text = (tmp_path / "link.md").read_text(encoding="utf-8")
    assert (
        "| bad | 1 of 2 | 0.5 | 1 | 3 | 10 of 100 | -1.25 | 0.50 | 20.0 | -190 | -200 | 12 |"
        in text
    )
    assert "bad: d: 1 emotion of fusion: why" in text
    printed = CliRunner().invoke(lab, ["link", "--report", "--out", str(tmp_path), "--json"])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout.splitlines()[-1]) == made.to_dict()


def test_without_a_report_or_a_corpus_the_remedy_is_named(tmp_path: Path) -> None:
    printed = CliRunner().invoke(lab, ["link", "--report", "--out", str(tmp_path)])
    assert (printed.exit_code, "without --report first" in printed.stderr) == (1, True)
    assert "--data" in CliRunner().invoke(lab, ["link"]).stderr


def test_the_cases_begin_with_the_undisturbed_one_and_have_names_of_their_own() -> None:
    assert cases.LINK_CASES[0].impairment == Impairment()
    assert len({case.name for case in cases.LINK_CASES}) == len(cases.LINK_CASES)


def test_two_hosts_whose_link_loses_packets_and_whose_clocks_differ_agree(tmp_path: Path) -> None:
    if (lack := missing_for_hosts()) is not None:
        lacks(f"two hosts: {lack}")
    corpus = write_derived(tmp_path / "corpus", ("Ses05F_impro01",), utterances=10)
    case = LinkCase(
        name="bad",
        impairment=Impairment(delay_ms=5, jitter_ms=20, loss=0.05),
        ahead_s=5,
        drift_ppm=200,
    )
    found = run_trial(case, corpus, ["Ses05F_impro01"], speed="max")
    assert len(found.finals) == 10
    assert found.gaps == []
    assert found.packets["lost"] > 0
    assert abs(found.last_off_ms) <= found.error_ms + 100  # the machine may be busy
