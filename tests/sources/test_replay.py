"""The replay's pace and flow control by a virtual clock, and the command over real processes."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from affectstream import replaying
from affectstream.bus import Inlet
from affectstream.core.pacing import Pacer
from affectstream.data import tiny_vosk_model
from affectstream.messages import Emotion, Message, Progress, StreamClosed, StreamOpened
from affectstream.processes import ProcessError, Processes, free_address
from affectstream.replaying import ReplayPlan, ScoredListener, play
from affectstream.sources.errors import SourceError
from affectstream.sources.replay import PATIENCE_NS, CorpusReplay
from affectstream.sources.scripts import CLOCK, SPEECH, TEXT, Instant, closing
from bus_helpers import serve_until
from derived_copy import write_derived
from espeak import Espeak
from fakes import S, closed, progress
from iemocap_copy import Dialogue, Line, write_copy


def script(name: str = "d1", instants: int = 10, step_ns: int = S) -> Iterator[Instant]:
    sources = (SPEECH, TEXT)
    opened = [StreamOpened(session=name, source=s, modality="speech") for s in sources]
    clock = StreamOpened(session=name, source=CLOCK, modality="corpus", drives_clock=True)
    yield Instant(name, 0, (clock, *opened, progress(0, CLOCK, name, now_ns=0)))
    for i in range(1, instants):
        yield Instant(name, i * step_ns, (progress(i * step_ns, CLOCK, name, now_ns=i * step_ns),))
    yield closing(name, sources, (instants - 1) * step_ns)


def replay(*scripts: Iterator[Instant], speed: float = math.inf, **options: Any) -> CorpusReplay:
    return CorpusReplay(scripts, Pacer(speed), lambda message: None, **options)


def ticks(said: list[Message]) -> list[int]:
    return [m.now_ns for m in said if isinstance(m, Progress) and m.now_ns is not None]


def answer(machine: CorpusReplay, at_ns: int, now_ns: int, session: str = "d1") -> None:
    assert machine.receive(progress(at_ns, "fusion", session), now_ns) == []


def test_never_more_than_ahead_instants_are_unanswered() -> None:
    machine = replay(script(instants=30), ahead=4)
    published = len(ticks(machine.wake(0)))
    answered = 0
    assert published == 4
    assert machine.wake(1) == []
    while answered < 30:
        answer(machine, answered * S, 1)
        answered += 1
        published += len(ticks(machine.wake(1)))
        assert published == min(30, answered + 4)


def test_an_answer_to_a_later_instant_answers_those_before_it() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    answer(machine, 2 * S, 0)
    assert ticks(machine.wake(0)) == [4 * S, 5 * S, 6 * S]


def test_without_an_answer_patience_ends_exactly_after_20_s() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(7 * S)
    assert machine.next_wake_ns() == 7 * S + PATIENCE_NS
    assert machine.wake(7 * S + PATIENCE_NS - 1) == []
    with pytest.raises(SourceError, match="no fusion node answers"):
        machine.wake(7 * S + PATIENCE_NS)


def test_every_word_of_the_node_renews_the_patience() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    answer(machine, 0, 15 * S)
    machine.wake(15 * S)
    assert machine.next_wake_ns() == 15 * S + PATIENCE_NS
    assert machine.wake(30 * S) == []


def test_a_node_that_never_closes_the_dialogue_ends_the_patience_too() -> None:
    machine = replay(script(instants=2))
    machine.wake(0)
    answer(machine, S, 5 * S)
    assert machine.next_wake_ns() == 5 * S + PATIENCE_NS
    with pytest.raises(SourceError):
        machine.wake(5 * S + PATIENCE_NS)


def test_other_dialogues_and_other_sources_answer_nothing() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    answer(machine, 9 * S, 0, session="other")
    machine.receive(progress(9 * S, "mic.anna", "d1"), 0)
    assert machine.wake(0) == []


def test_instants_are_published_when_they_are_due() -> None:
    machine = replay(script(instants=5), speed=2.0)
    assert ticks(machine.wake(100 * S)) == [0]
    assert machine.next_wake_ns() == 100 * S + S // 2
    assert machine.wake(100 * S + S // 2 - 1) == []
    assert ticks(machine.wake(100 * S + S // 2)) == [S]
    assert ticks(machine.wake(102 * S)) == [2 * S, 3 * S, 4 * S]


def test_the_wake_time_never_leads_to_a_spin() -> None:
    machine = replay(script("d1", 6), script("d2", 6), speed=3.0, ahead=2)
    now_ns = 0
    for _ in range(200):
        said = machine.wake(now_ns)
        wake_ns = machine.next_wake_ns()
        if machine.done:
            assert wake_ns is None
            break
        for at_ns in ticks(said):
            answer(machine, at_ns, now_ns, said[-1].session)
        if any(isinstance(m, StreamClosed) for m in said):
            machine.receive(closed("fusion", said[-1].session), now_ns)
            continue
        assert wake_ns is not None
        assert wake_ns > now_ns
        now_ns = wake_ns if len(ticks(said)) < 2 else now_ns + 1
    assert machine.done


def test_the_next_dialogue_begins_when_the_node_has_closed_the_one_before() -> None:
    machine = replay(script("d1", 3), script("d2", 3))
    assert {m.session for m in machine.wake(0)} == {"d1"}
    assert machine.wake(1) == []
    machine.receive(closed("mic.anna", "d1"), 1)
    assert machine.wake(1) == []
    machine.receive(closed("fusion", "d1"), 2)
    assert {m.session for m in machine.wake(2)} == {"d2"}
    assert not machine.done
    machine.receive(closed("fusion", "d2"), 3)
    assert machine.wake(3) == []
    assert machine.done


def test_a_transcript_worker_is_waited_for_where_one_listens() -> None:
    machine = replay(script(instants=30), ahead=4, listeners=1)
    machine.wake(0)
    answer(machine, 3 * S, 0)
    assert machine.wake(0) == []  # the other has not said anything yet
    machine.receive(progress(S, "asr.mic.anna", "d1"), 0)
    assert ticks(machine.wake(0)) == [4 * S, 5 * S]


def test_the_listener_hears_the_node_and_nobody_else() -> None:
    heard: list[Message] = []
    machine = CorpusReplay([script()], Pacer(), heard.append)
    machine.wake(0)
    machine.receive(progress(0, "fusion", "d1"), 0)
    machine.receive(progress(0, "asr.mic.anna", "d1"), 0)
    machine.receive(progress(0, "mic.anna", "d1"), 0)
    assert [m.source for m in heard] == ["fusion"]


def test_an_interrupted_replay_closes_its_streams() -> None:
    machine = replay(script(instants=30), ahead=4)
    machine.wake(0)
    said = machine.close(0)
    assert all(isinstance(m, StreamClosed) for m in said)
    assert {m.source for m in said} == {CLOCK, SPEECH, TEXT}
    assert {m.end_ns for m in said if isinstance(m, StreamClosed)} == {3 * S}


def test_a_replay_that_has_not_begun_or_is_done_has_nothing_to_close() -> None:
    assert replay(script()).close(0) == []
    machine = replay()
    assert machine.wake(0) == []
    assert machine.done
    assert machine.close(0) == []


# The command


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "affectstream", "replay", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    scores = {"uar", "wa", "weighted_f1"}
    assert summary["provisional"].keys() == summary["final"].keys() == scores
    assert summary["improvised"]["provisional"].keys() == scores
    assert summary["improvised"]["final"].keys() == scores
    return summary


def test_a_derived_set_is_replayed_and_scored(tmp_path: Path) -> None:
    write_derived(tmp_path, utterances=10)
    summary = summary_of(command(str(tmp_path), "--dialogue", "Ses01F_impro01", "--json"))
    assert summary["utterances"] == 10
    assert summary["estimates"]["provisional"] == summary["estimates"]["final"] == 10
    assert "gaps" not in summary["estimates"]


def test_a_raw_copy_is_replayed_and_scored(tmp_path: Path) -> None:
    write_copy(tmp_path)
    summary = summary_of(command(str(tmp_path), "--transcript-delay-ms", "300", "--json"))
    assert summary["utterances"] == 6
    assert summary["estimates"]["final"] == 6


def test_a_raw_copy_is_replayed_with_live_recognition(tmp_path: Path) -> None:
    pytest.importorskip("vosk")
    write_copy(tmp_path)
    model = str(tiny_vosk_model())
    summary = summary_of(command(str(tmp_path), "--live-asr", "--vosk-model", model, "--json"))
    assert summary["utterances"] == 6
    assert summary["estimates"]["final"] == 6
    assert "gaps" not in summary["estimates"]


def _empty(folder: Path) -> list[str]:
    return [str(folder)]


def _no_statistics(folder: Path) -> list[str]:
    (write_derived(folder) / "egemaps47.npy").unlink()
    return [str(folder)]


def _too_few_statistics(folder: Path) -> list[str]:
    np.save(write_derived(folder) / "egemaps47.npy", np.zeros((3, 47), dtype=np.float32))
    return [str(folder)]


def _wrong_session(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--sessions", "9"]


def _wrong_dialogue(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--dialogue", "Ses09F_impro01"]


def _live_asr_without_audio(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--live-asr"]


def _live_asr_without_a_model(folder: Path) -> list[str]:
    return [str(write_copy(folder)), "--live-asr"]


def _not_there(folder: Path) -> list[str]:
    return [str(folder / "nowhere")]


def _bad_speed(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--speed", "fast"]


@pytest.mark.parametrize(
    "arrange",
    [
        _empty,
        _no_statistics,
        _too_few_statistics,
        _wrong_session,
        _wrong_dialogue,
        _live_asr_without_audio,
        _live_asr_without_a_model,
        _not_there,
        _bad_speed,
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_sentence(
    arrange: Callable[[Path], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AFFECTSTREAM_VOSK_MODEL", raising=False)
    done = command(*arrange(tmp_path), "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stderr.strip()
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if not line.startswith("--")]) == 1, said
    assert done.stdout == ""


def _speak(espeak: Espeak, root: Path, dialogue: Dialogue) -> None:
    """Put speech into the wav of a copy: the woman left, the man right."""
    shape = (round(dialogue.duration_s * 16_000), 2)
    samples = np.random.default_rng(1).normal(0, 20, shape).astype(np.int16)
    for line in dialogue.lines:
        woman = line.name.startswith("F")
        said = espeak.say(line.text).samples
        first = round((line.start_s + 0.3) * 16_000)
        samples[first : first + len(said), 0 if woman else 1] = said
    path = root / f"Session{dialogue.session}" / "dialog" / "wav" / f"{dialogue.name}.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(samples.tobytes())


def test_what_is_said_in_a_raw_copy_is_recognised(
    tmp_path: Path, espeak: Espeak, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vosk")
    scales = (3.0, 3.0, 3.0)
    dialogue = Dialogue(
        "Ses01F_impro01",
        (
            Line("F000", 0.5, 2.5, "neu", scales, "i am so happy today"),
            Line("M000", 3.0, 5.5, "ang", scales, "thank you my friend"),
            Line("F001", 6.0, 8.5, "sad", scales, "i am very sad today"),
        ),
    )
    write_copy(tmp_path, [dialogue])
    _speak(espeak, tmp_path, dialogue)
    heard: dict[str, Emotion] = {}

    class Recorder(ScoredListener):
        def __call__(self, message: Message) -> None:
            if isinstance(message, Emotion) and message.status == "final":
                heard[message.utterance] = message
            super().__call__(message)

    monkeypatch.setattr(replaying, "ScoredListener", Recorder)
    plan = ReplayPlan(path=tmp_path, live_asr=True, vosk_model=tiny_vosk_model())
    summary = play(plan, Console(quiet=True))
    assert summary["utterances"] == 3
    texts = [heard[f"{dialogue.name}_{line.name}"].text for line in dialogue.lines]
    assert texts == [line.text for line in dialogue.lines]
    assert all(e.modalities.keys() == {"text"} for e in heard.values())


def test_what_the_node_said_before_the_replay_began_is_not_about_it() -> None:
    heard: list[Message] = []
    ahead_ns = 100 * S  # the node's clock
    machine = CorpusReplay(
        [script(instants=30)], Pacer(math.inf), heard.append, ahead=4, node_offset_ns=ahead_ns
    )
    old = Progress(session="d1", source="fusion", watermark_ns=20 * S, sent_ns=ahead_ns + 9 * S)
    machine.receive(old, 10 * S)
    machine.wake(10 * S)
    machine.receive(old, 10 * S)
    machine.receive(closed("fusion", "d1"), 10 * S)
    assert heard == []
    assert machine.wake(10 * S) == []
    new = Progress(session="d1", source="fusion", watermark_ns=0, sent_ns=ahead_ns + 10 * S)
    machine.receive(new, 10 * S)
    assert heard == [new]
    assert ticks(machine.wake(10 * S)) == [4 * S]


def test_a_node_that_runs_already_can_be_used_again_and_again(tmp_path: Path) -> None:
    write_derived(tmp_path, utterances=8)
    with Processes() as processes:
        address = free_address()
        processes.start("fusion", "fusion", "--address", address)
        processes.wait_for_hub(address)
        revised = []
        for delay_ns in (0, 600_000_000, 0):
            plan = ReplayPlan(path=tmp_path, address=address, transcript_delay_ns=delay_ns)
            estimates: Any = play(plan, Console(quiet=True))["estimates"]
            assert estimates["dialogues"] == 2
            assert estimates["final"] == 16
            assert "out of order" not in estimates
            revised.append(estimates["revised"])
    assert revised[0] == revised[2] < revised[1]


def test_an_address_where_nobody_answers_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = command(str(write_derived(tmp_path)), "--address", free_address())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no hub answers" in done.stderr


def test_a_node_that_dies_ends_the_replay_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_derived(tmp_path)
    started: list[int] = []

    class Watched(Processes):
        def start(self, name: str, *arguments: str) -> int:
            started.append(super().start(name, *arguments))
            return started[-1]

    class Killer(ScoredListener):
        def __call__(self, message: Message) -> None:
            super().__call__(message)
            os.kill(started[0], signal.SIGKILL)

    monkeypatch.setattr(replaying, "Processes", Watched)
    monkeypatch.setattr(replaying, "ScoredListener", Killer)
    with pytest.raises(ProcessError, match="fusion"):
        play(ReplayPlan(path=tmp_path, speed=1.0), Console(quiet=True))


def test_one_process_of_several_can_be_ended() -> None:
    with Processes() as processes:
        one = processes.start("one", "hub", "--address", free_address())
        processes.start("other", "hub", "--address", free_address())
        processes.end(one)
        assert processes.running() == ["other"]
        processes.check()


def test_an_interrupted_command_leaves_no_process_behind(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    write_derived(tmp_path)
    with Processes() as processes:
        address = free_address()
        processes.start("fusion", "fusion", "--address", address)
        processes.wait_for_hub(address)
        inlet = Inlet(address, ["emotion/", "stream.closed/"], from_start=True)
        command = [sys.executable, "-m", "affectstream", "replay", str(tmp_path), "--json"]
        replayer = subprocess.Popen(
            [*command, "--speed", "2", "--address", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        got: list[Message] = []
        serve_until(lambda: any(isinstance(m, Emotion) for m in got), inlets=[(inlet, got)])
        replayer.send_signal(signal.SIGINT)
        replayer.communicate(timeout=20)
        serve_until(  # the interrupted dialogue is closed, and so its estimates are final
            lambda: any(isinstance(m, StreamClosed) and m.source == "fusion" for m in got),
            inlets=[(inlet, got)],
        )
        inlet.close()
        assert not psutil.pid_exists(replayer.pid)
    assert {e.status for e in got if isinstance(e, Emotion)} >= {"provisional", "final"}
