"""When a worker is started again, killed and given up; time is advanced by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from affectstream.core.restart_policy import (
    LATE_NS,
    Decision,
    GiveUp,
    Kill,
    RestartDecider,
    RestartPolicy,
    Say,
    Start,
    Worker,
)

S = 1_000_000_000
MS = S // 1000
POLICY = RestartPolicy()
BEAT_NS = S // 2
COMES_UP_S = 6


class Scene:
    """One worker, and a clock that is advanced by hand."""

    def __init__(self, policy: RestartPolicy = POLICY) -> None:
        self.decider = RestartDecider()
        self.now_ns = 5 * S
        assert self.decider.add("mic", policy, self.now_ns) == [Start("mic", again=False)]

    @property
    def worker(self) -> Worker:
        return self.decider.workers[0]

    def run(self, seconds: float, *, beats: bool = True) -> list[Decision]:
        """Let time pass; wake as the machine asks, and at every beat."""
        end_ns = self.now_ns + round(seconds * S)
        decisions: list[Decision] = []
        while self.now_ns < end_ns:
            wake_ns = self.decider.next_wake_ns() or end_ns
            self.now_ns = min(end_ns, self.now_ns + BEAT_NS, max(wake_ns, self.now_ns + 1))
            if beats:
                self.decider.heard("mic", self.now_ns)
            decisions += self.decider.wake(self.now_ns)
        return decisions

    def fail(self, words: str = "no device", status: int = 1) -> list[Decision]:
        return self.decider.ended("mic", status, words, self.now_ns)


def test_a_worker_runs_once_it_is_heard() -> None:
    scene = Scene()
    assert scene.worker.state == "starting"
    assert scene.run(100) == []
    assert scene.worker.state == "running"


def test_one_that_fails_is_started_again_after_a_while() -> None:
    scene = Scene()
    scene.run(1)
    assert scene.fail() == [Say("mic: no device; it is started again in 0.25 s")]
    failed_ns = scene.now_ns
    assert scene.decider.next_wake_ns() == failed_ns + 250 * MS
    assert scene.decider.wake(failed_ns + 249 * MS) == []
    assert scene.decider.wake(failed_ns + 250 * MS) == [Start("mic", again=True)]
    assert (scene.worker.state, scene.worker.restarts) == ("starting", 1)


def waits_s(scene: Scene, failures: int, run_s: float) -> list[float]:
    waits = []
    for _ in range(failures):
        scene.run(run_s)
        scene.fail()
        wake_ns = scene.decider.next_wake_ns()
        assert wake_ns is not None
        waits.append((wake_ns - scene.now_ns) / S)
        assert scene.run(waits[-1], beats=False) == [Start("mic", again=True)]
    return waits


def test_the_wait_doubles_up_to_the_longest() -> None:
    scene = Scene(replace(POLICY, failures=100))
    assert waits_s(scene, 8, run_s=1) == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_good_run_makes_up_for_the_failures_before_it() -> None:
    scene = Scene(replace(POLICY, failures=100))
    assert waits_s(scene, 3, run_s=1) == [0.25, 0.5, 1]
    assert waits_s(scene, 2, run_s=31) == [0.25, 0.25]


def test_a_good_run_makes_up_for_failures_though_it_ends_by_being_killed() -> None:
    scene = Scene(replace(POLICY, failures=100))
    assert waits_s(scene, 3, run_s=1) == [0.25, 0.5, 1]
    scene.run(31)
    assert scene.run(POLICY.silent_ns / S, beats=False) == [Kill("mic")]
    assert scene.fail(status=-9) == [Say("mic: was silent for 10 s; it is started again in 0.25 s")]


@pytest.mark.parametrize(("short_ns", "wait"), [(0, "0.25 s"), (1, "0.5 s")])
def test_a_run_is_good_exactly_when_it_was_heard_for_so_long(short_ns: int, wait: str) -> None:
    scene = Scene()
    scene.fail()
    scene.run(1, beats=False)
    scene.decider.heard("mic", scene.now_ns)  # now it runs
    scene.now_ns += POLICY.good_ns - short_ns
    scene.decider.heard("mic", scene.now_ns)
    assert scene.fail() == [Say(f"mic: no device; it is started again in {wait}")]


def test_one_that_flaps_is_given_up_with_its_own_last_words() -> None:
    scene = Scene()
    waits_s(scene, 4, run_s=1)
    assert scene.fail("the plug is out; push it in") == [
        GiveUp(
            "mic",
            "mic failed 5 × within 60 s and is given up; the last time: "
            "the plug is out; push it in",
            essential=False,
        )
    ]
    assert scene.worker.over
    assert scene.decider.next_wake_ns() is None
    assert scene.run(1_000, beats=False) == []


def restarts_within_an_hour(scene: Scene, heard_s: float) -> int:
    """Count how often a worker is started that is heard for a while each time and then hangs."""
    end_ns = scene.now_ns + 3_600 * S
    while scene.now_ns < end_ns and not scene.worker.over:
        scene.run(COMES_UP_S, beats=False)
        scene.run(heard_s)
        while not scene.worker.over and scene.worker.state != "stopping":
            scene.run(1, beats=False)
        scene.fail("it was ended by SIGKILL", -9)
        if not scene.worker.over:
            while scene.worker.state == "waiting":
                scene.run(0.25, beats=False)
    return scene.worker.restarts


@pytest.mark.parametrize("silent_s", [1, 10, 29, 31, 300])
def test_one_that_comes_up_and_hangs_again_and_again_is_given_up(silent_s: int) -> None:
    scene = Scene(replace(POLICY, silent_ns=silent_s * S))
    assert restarts_within_an_hour(scene, heard_s=2) == POLICY.failures - 1
    assert scene.worker.state == "given up"


def test_one_that_never_comes_up_is_given_up() -> None:
    scene = Scene()
    assert restarts_within_an_hour(scene, heard_s=0) == POLICY.failures - 1
    assert scene.worker.state == "given up"


def test_one_whose_runs_are_not_good_is_given_up_whatever_their_length() -> None:
    scene = Scene()
    waits_s(scene, 4, run_s=29)
    [decision] = scene.fail()
    assert decision == GiveUp(
        "mic",
        "mic failed 5 × without a run of 30 s and is given up; the last time: no device",
        essential=False,
    )


def test_one_that_outgrows_its_memory_again_and_again_is_given_up() -> None:
    scene = Scene(replace(POLICY, memory_mib=300))
    for _ in range(POLICY.failures):
        scene.run(20)
        scene.decider.measured("mic", 400, scene.now_ns)
        [decision] = scene.fail(status=-9)
        scene.run(10, beats=False)
    assert isinstance(decision, GiveUp)


def test_failures_far_apart_are_not_flapping() -> None:
    scene = Scene()
    assert waits_s(scene, 50, run_s=40) == [0.25] * 50


def test_a_run_says_whether_it_can_go_on_without() -> None:
    scene = Scene(replace(POLICY, essential=True, failures=1))
    scene.run(1)
    [decision] = scene.fail()
    assert isinstance(decision, GiveUp)
    assert decision.essential


def test_one_that_must_start_and_does_not_ends_the_run_at_once() -> None:
    scene = Scene(replace(POLICY, must_start=True))
    assert scene.fail("no such model") == [GiveUp("mic", "mic: no such model", essential=True)]


def test_one_that_must_start_and_did_is_started_again_later() -> None:
    scene = Scene(replace(POLICY, must_start=True))
    waits_s(scene, 1, run_s=1)
    assert isinstance(scene.fail()[0], Say)


def test_one_that_never_is_started_again_is_given_up_at_its_first_failure() -> None:
    scene = Scene(replace(POLICY, when="never"))
    scene.run(1)
    assert scene.fail() == [GiveUp("mic", "mic: no device", essential=False)]


def test_one_that_ends_well_is_done() -> None:
    scene = Scene()
    scene.run(1)
    assert scene.fail(status=0) == []
    assert (scene.worker.state, scene.worker.over) == ("ended", True)


def test_one_that_runs_always_is_started_again_though_it_ended_well() -> None:
    scene = Scene(replace(POLICY, when="always"))
    scene.run(1)
    words = "mic: it ended though nobody asked it to; it is started again in 0.25 s"
    assert scene.fail(status=0) == [Say(words)]


def test_one_that_ends_well_before_it_runs_had_nothing_to_do() -> None:
    scene = Scene(replace(POLICY, when="always"))
    assert scene.fail(status=0) == []
    assert scene.worker.state == "ended"


def test_one_that_falls_silent_is_killed_and_started_again() -> None:
    scene = Scene()
    scene.run(3)
    heard_ns = scene.now_ns
    assert scene.run(9.9, beats=False) == []
    assert scene.run(0.1, beats=False) == [Kill("mic")]
    assert scene.now_ns == heard_ns + 10 * S
    assert scene.worker.state == "stopping"
    assert scene.run(100, beats=False) == []  # it is waited for, however long that takes
    assert scene.fail("it was ended by SIGKILL", -9) == [
        Say("mic: was silent for 10 s; it is started again in 0.25 s")
    ]


def test_one_that_ends_well_just_when_it_is_killed_has_failed() -> None:
    scene = Scene()
    scene.run(3)
    scene.run(10, beats=False)
    assert isinstance(scene.fail(status=0)[0], Say)


def test_one_that_does_not_come_up_is_killed() -> None:
    scene = Scene()
    assert scene.run(59.9, beats=False) == []
    assert scene.run(0.1, beats=False) == [Kill("mic")]
    [said] = scene.fail(status=-9)
    assert said == Say("mic: did not come up within 60 s; it is started again in 0.25 s")


@pytest.mark.parametrize("beats", [True, False])
def test_nobody_is_killed_for_the_time_that_the_supervisor_was_away(beats: bool) -> None:
    scene = Scene()
    scene.run(3)
    scene.now_ns += 3_600 * S  # a lid was closed
    if beats:
        scene.decider.heard("mic", scene.now_ns)
    assert scene.decider.wake(scene.now_ns) == []
    assert scene.run(9, beats=False) == []
    assert scene.run(1, beats=False) == [Kill("mic")]


def test_a_supervisor_that_is_a_little_late_still_notices_silence() -> None:
    scene = Scene()
    scene.run(3)
    killed = []
    for _ in range(20):
        scene.now_ns += LATE_NS - 1
        killed += scene.decider.wake(scene.now_ns)
    assert killed == [Kill("mic")]


def test_one_that_holds_too_much_memory_is_killed_and_told_why() -> None:
    scene = Scene(replace(POLICY, memory_mib=300))
    scene.run(1)
    assert scene.decider.measured("mic", 300, scene.now_ns) == []
    assert scene.decider.measured("mic", 300.6, scene.now_ns) == [Kill("mic")]
    assert scene.decider.measured("mic", 400, scene.now_ns) == []  # once is enough
    assert scene.fail(status=-9) == [
        Say("mic: held 301 MiB, and may hold 300; it is started again in 0.25 s")
    ]
    assert scene.worker.memory_mib == 0


def test_what_is_not_limited_may_grow() -> None:
    scene = Scene()
    scene.run(1)
    assert scene.decider.measured("mic", 1e6, scene.now_ns) == []
    assert scene.worker.memory_mib == 1e6


def test_one_that_is_forgotten_is_not_decided_about() -> None:
    scene = Scene()
    scene.decider.forget("mic")
    assert scene.fail() == scene.run(100) == []
    assert scene.decider.measured("mic", 1e6, scene.now_ns) == []


def test_two_workers_have_two_names() -> None:
    scene = Scene()
    with pytest.raises(ValueError, match="a worker mic already"):
        scene.decider.add("mic", POLICY, scene.now_ns)
    scene.fail(status=0)
    assert scene.decider.add("mic", POLICY, scene.now_ns) == [Start("mic", again=False)]


def test_each_worker_fails_for_itself() -> None:
    scene = Scene()
    scene.decider.add("face", POLICY, scene.now_ns)
    scene.decider.heard("face", scene.now_ns)
    scene.run(1)
    scene.fail()
    assert [w.state for w in scene.decider.workers] == ["waiting", "running"]
