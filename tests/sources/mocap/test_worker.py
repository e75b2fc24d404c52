"""Motion capture: files, timeline, stream and worker."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from affectstream.bus import Hub, Inlet
from affectstream.codec import decode, encode
from affectstream.data import demo_folder
from affectstream.messages import Gap, Message, Mocap, Progress, StreamClosed, StreamOpened
from affectstream.sources.mocap.files import MocapFile
from affectstream.sources.mocap.formats import MocapError
from affectstream.sources.mocap.frames import (
    MocapFrame,
    MocapLoss,
    MocapRecording,
    MocapTimeline,
)
from affectstream.sources.mocap.rows import BadRow, MocapRow
from affectstream.sources.mocap.stream import MocapPosition, MocapStream
from affectstream.sources.mocap.worker import MocapReplay, run_mocap
from affectstream.timebase import NS_PER_MS, NS_PER_S
from iemocap_copy import FACE_MARKERS, HAND_MARKERS, HEAD_CHANNELS, mocap_line, mocap_lines

START_NS = 1_700_000_000 * NS_PER_S
KINDS = {
    "rotated": (FACE_MARKERS, 165),
    "hand": (HAND_MARKERS, 18),
    "head": (HEAD_CHANNELS, 6),
}


def write(path: Path, kind: str, frames: int = 240) -> Path:
    names, width = KINDS[kind]
    path.write_text("".join(mocap_lines(names, width, frames)))
    return path


def write_openface(path: Path, rows: Iterable[tuple[int, float, int]]) -> Path:
    """Write rows of frame, time and success."""
    lines = ["frame, timestamp, confidence, success, gaze_angle_x, AU12_r, AU12_c\n"]
    lines += [f"{frame}, {t:.3f}, 0.98, {ok}, 0.1, {frame}, 1\n" for frame, t, ok in rows]
    path.write_text("".join(lines))
    return path


def play(
    paths: Path | Sequence[Path], speed: float = 1.0, steps: int = 10_000
) -> tuple[list[Message], MocapStream, int]:
    """Play a recording in virtual time; return the messages, the machine and the time it took."""
    recording = MocapRecording([paths] if isinstance(paths, Path) else paths)
    machine = MocapStream(
        recording.layout, session="s", source="face.anna", speaker="anna", start_ns=START_NS
    )
    replay, now_ns = MocapReplay(recording, speed), 5
    out = machine.wake(now_ns)
    while not replay.exhausted and steps:
        steps -= 1
        for item in replay.read(now_ns):
            out += machine.receive(item, now_ns)
        due_ns = replay.next_read_ns()
        now_ns = now_ns if due_ns is None else max(now_ns, due_ns)
    assert steps, "the replay does not end"
    out += machine.close(now_ns)
    replay.close()
    for message in out:
        assert decode(encode(message)) == message
    return out, machine, now_ns - 5


def frames_of(messages: Iterable[Message]) -> tuple[list[int], np.ndarray]:
    blocks = [message for message in messages if isinstance(message, Mocap)]
    times_ns = [time_ns - START_NS for block in blocks for time_ns in block.times_ns]
    return times_ns, np.concatenate([block.values for block in blocks])


def gaps_of(messages: Iterable[Message]) -> list[tuple[str, int, str]]:
    return [(m.lost, m.count, m.reason) for m in messages if isinstance(m, Gap)]


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_iemocap_file_says_its_layout(tmp_path: Path, kind: str) -> None:
    with MocapFile(write(tmp_path / "a.txt", kind)) as file:
        rows = list(file)

    width = KINDS[kind][1]
    assert file.layout.name == f"iemocap.{kind}"
    assert len(file.layout.channels) == len(set(file.layout.channels)) == width
    assert len(file.layout.units) == width
    assert file.layout.rate_hz == 120.0
    assert len(rows) == 240
    assert all(isinstance(row, MocapRow) and row.values.shape == (width,) for row in rows)


def test_channels_are_named_by_marker_and_axis(tmp_path: Path) -> None:
    with MocapFile(write(tmp_path / "a.txt", "hand")) as file:
        assert file.layout.channels[:4] == ("LH1.x", "LH1.y", "LH1.z", "LH2.x")


@pytest.mark.parametrize("names", ["per axis", "without the line of axes"])
def test_other_forms_of_the_header_are_read(tmp_path: Path, names: str) -> None:
    markers = [m for m in HAND_MARKERS for _ in range(3)] if names == "per axis" else HAND_MARKERS
    lines = list(mocap_lines(markers, 18, 5))
    if names != "per axis":
        del lines[1]
    (tmp_path / "a.txt").write_text("".join(lines))

    with MocapFile(tmp_path / "a.txt") as file:
        assert len(list(file)) == 5
        assert file.layout.channels[3] == "LH2.x"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1: expected IEMOCAP's"),
        ("hello world\n", "found 'hello world'"),
        ("Frame# Time A B C\nX Y Z\n1 0.0 1 2 3\n", "expected 55 markers .* found 3 names"),
        ("a,b,c\n1,2,3\n", "found no 'frame'"),
        ("frame,timestamp,success\n1,0.0,1\n", "expected columns of values"),
    ],
)
def test_a_bad_header_is_refused_in_one_sentence(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(content)

    with pytest.raises(MocapError, match=told) as refused:
        MocapFile(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MocapError, match="cannot be opened"):
        MocapFile(tmp_path / "none.txt")
    with pytest.raises(MocapError, match="name at least one"):
        MocapRecording([])


def test_a_row_of_the_wrong_width_names_file_line_expected_and_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "rotated")
    lines = path.read_text().splitlines(keepends=True)
    lines[50] = "49 0.40000 1.0 2.0\n"
    path.write_text("".join(lines))

    with MocapFile(path) as file:
        bad = [row for row in file if isinstance(row, BadRow)]

    assert [row.problem for row in bad] == [f"{path}, line 51: expected 167 columns, found 4"]


def test_a_bad_row_is_a_counted_gap_and_the_stream_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "head")
    lines = path.read_text().splitlines(keepends=True)
    lines[50], lines[51] = "49 0.4 1.0 2.0\n", "50 0.40833 a b c d e f\n"
    path.write_text("".join(lines))

    messages, machine, _ = play(path)

    assert gaps_of(messages) == [("frame", 2, "malformed row")]
    assert machine.lost == {"frame": 2}
    assert machine.frames == 238


def test_more_than_half_bad_rows_end_the_stream_with_the_first_ones_problem(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.txt", "head", frames=600)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:102]) + "1 2 3\n" * 500)

    messages, machine, _ = play(path)

    assert machine.failure is not None
    assert "101 of 201 rows are bad" in machine.failure
    assert f"{path}, line 103: expected 8 columns, found 3" in machine.failure
    assert isinstance(messages[-1], StreamClosed)
    assert messages[-1].reason == "failed"
    assert machine.frames == 100


def test_a_stream_has_blocks_of_100_ms_strictly_increasing_times_and_a_watermark(
    tmp_path: Path,
) -> None:
    messages, _, took_ns = play(write(tmp_path / "a.txt", "rotated", frames=360))

    opened, closed = messages[0], messages[-1]
    assert isinstance(opened, StreamOpened)
    assert (opened.modality, opened.speaker, opened.start_ns) == ("mocap", "anna", START_NS)
    assert (len(opened.channels), len(opened.units)) == (165, 165)
    assert opened.nominal_rate_hz == 120.0
    assert isinstance(closed, StreamClosed)
    times_ns, values = frames_of(messages)
    assert len(times_ns) == 360
    assert times_ns == sorted(set(times_ns))
    assert {block.rows for block in messages if isinstance(block, Mocap)} == {12}
    assert values[7, 1] == pytest.approx(8.001)
    assert took_ns == pytest.approx(3 * NS_PER_S, abs=200 * NS_PER_MS)
    watermark_ns = 0
    for message in messages:
        if isinstance(message, Progress):
            assert message.watermark_ns > watermark_ns
            watermark_ns = message.watermark_ns
        elif isinstance(message, Mocap):
            assert message.times_ns[0] >= watermark_ns, "the watermark was kept"


def test_nan_stays_nan(tmp_path: Path) -> None:
    messages, _, _ = play(write(tmp_path / "a.txt", "rotated"))

    _, values = frames_of(messages)
    assert np.flatnonzero(np.isnan(values).all(1)).tolist() == [9, 10]
    assert gaps_of(messages) == []


@pytest.mark.parametrize(("speed", "expected_s"), [(1.0, 2.0), (4.0, 0.5), (math.inf, 0.0)])
def test_speed_changes_the_pace_and_nothing_else(
    tmp_path: Path, speed: float, expected_s: float
) -> None:
    path = write(tmp_path / "a.txt", "head")
    usual, _, _ = play(path)

    messages, _, took_ns = play(path, speed)

    assert messages == usual
    assert took_ns / NS_PER_S == pytest.approx(expected_s, abs=0.15)


def test_a_late_reader_gets_everything_in_the_same_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "head")
    recording = MocapRecording([path])
    replay = MocapReplay(recording, 1.0)
    replay.read(0)

    items = replay.read(10 * NS_PER_S)
    while not replay.exhausted:
        more = replay.read(10 * NS_PER_S)
        assert sum(isinstance(item, MocapFrame) for item in more) <= 120, "one second at a time"
        items += more
    replay.close()

    assert sum(isinstance(item, MocapFrame) for item in items) == 240


def test_a_start_in_the_future_is_waited_for(tmp_path: Path) -> None:
    replay = MocapReplay(
        MocapRecording([write(tmp_path / "a.txt", "head")]), not_before_ns=NS_PER_S
    )

    assert replay.next_read_ns() == NS_PER_S
    assert replay.read(NS_PER_S // 2) == []
    assert replay.read(NS_PER_S) == []
    assert replay.next_read_ns() == NS_PER_S + 100 * NS_PER_MS
    assert len(replay.read(NS_PER_S + 100 * NS_PER_MS)) == 13, "12 frames and the position"
    replay.close()


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_a_recording_that_is_resumed_goes_on_where_it_is_by_now(
    tmp_path: Path, speed: float
) -> None:
    replay = MocapReplay(
        MocapRecording([write(tmp_path / "a.txt", "head")]),
        speed,
        not_before_ns=NS_PER_S,
        resume=True,
    )
    now_ns = NS_PER_S + round(1.05 * NS_PER_S / speed)

    lost, position = replay.read(now_ns)
    items = replay.read(now_ns + NS_PER_S)
    replay.close()

    assert isinstance(lost, MocapLoss)
    assert (lost.count, lost.reason, lost.start_ns) == (0, "restarted", NS_PER_S)
    assert position == MocapPosition(NS_PER_S)
    frames = [item for item in items if isinstance(item, MocapFrame)]
    assert frames[0].time_ns == pytest.approx(NS_PER_S, abs=10 * NS_PER_MS)
    assert frames[0].time_ns >= NS_PER_S


def test_a_recording_that_would_be_over_by_now_ends_at_once(tmp_path: Path) -> None:
    recording = MocapRecording([write(tmp_path / "a.txt", "head")])
    replay = MocapReplay(recording, not_before_ns=0, resume=True)

    assert not [i for i in replay.read(1_000 * NS_PER_S) if isinstance(i, MocapFrame)]
    assert replay.exhausted
    replay.close()


@pytest.mark.parametrize("speed", [math.inf, 1.0])
def test_what_has_no_pace_or_has_not_begun_is_resumed_at_its_beginning(
    tmp_path: Path, speed: float
) -> None:
    recording = MocapRecording([write(tmp_path / "a.txt", "head")])
    replay = MocapReplay(recording, speed, not_before_ns=NS_PER_S, resume=True)

    items = replay.read(NS_PER_S) + replay.read(2 * NS_PER_S)
    replay.close()

    assert not [item for item in items if isinstance(item, MocapLoss)]
    assert next(i for i in items if isinstance(i, MocapFrame)).time_ns < 20 * NS_PER_MS


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_that_plays_nothing_is_refused(tmp_path: Path, speed: float) -> None:
    recording = MocapRecording([write(tmp_path / "a.txt", "head")])

    with closing(recording), pytest.raises(MocapError, match="give a number above 0"):
        MocapReplay(recording, speed)


def test_a_jump_in_frame_numbers_is_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "head")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:62] + lines[92:]))

    messages, _, _ = play(path)

    (gap,) = [message for message in messages if isinstance(message, Gap)]
    assert (gap.lost, gap.count, gap.reason) == ("frame", 30, "not in the file")
    assert gap.start_ns == pytest.approx(START_NS + 60 * NS_PER_S / 120, abs=NS_PER_MS)
    assert gap.end_ns == pytest.approx(START_NS + 90 * NS_PER_S / 120, abs=NS_PER_MS)
    watermarks = [m.watermark_ns for m in messages if isinstance(m, Progress)]
    steps = np.diff(watermarks)
    assert steps.max() <= 100 * NS_PER_MS, "the watermark goes on through the hole"


def test_frames_that_openface_failed_on_are_dropped_and_said(tmp_path: Path) -> None:
    rows = [(n, n / 30, int(not 20 <= n < 26)) for n in range(60)]

    messages, machine, _ = play(write_openface(tmp_path / "a.csv", rows))

    assert gaps_of(messages) == [("frame", 6, "tracking failed")]
    assert machine.frames == 54
    _, values = frames_of(messages)
    assert values[20].tolist() == [pytest.approx(0.1), 26.0, 1.0]


def test_a_long_failure_is_said_every_second(tmp_path: Path) -> None:
    rows = [(n, n / 30, int(n < 10)) for n in range(100)]

    messages, _, _ = play(write_openface(tmp_path / "a.csv", rows))

    assert [count for _, count, _ in gaps_of(messages)] == [30, 30, 30]


def test_openface_says_units_and_measures_its_rate(tmp_path: Path) -> None:
    rows = [(n, n / 60, 1) for n in range(200)]

    with MocapFile(write_openface(tmp_path / "a.csv", rows)) as file:
        assert file.layout.channels == ("gaze_angle_x", "AU12_r", "AU12_c")
        assert file.layout.units == ("rad", "0..5", "0 or 1")
        assert file.layout.rate_hz == pytest.approx(60, abs=0.1)
        assert len(list(file)) == 200, "the rows that were looked at are not lost"


def test_one_face_of_several_is_taken(tmp_path: Path) -> None:
    lines = ["frame, face_id, timestamp, confidence, success, AU12_r\n"]
    lines += [f"{n}, {face}, {n / 30:.3f}, 0.9, 1, {face}\n" for n in range(9) for face in (1, 0)]
    (tmp_path / "a.csv").write_text("".join(lines))

    with MocapFile(tmp_path / "a.csv") as file:
        values = [row.values.tolist() for row in file if isinstance(row, MocapRow)]

    assert values == [[0.0]] * 9


def rows_at(*points: tuple[int, float]) -> Iterator[MocapRow]:
    for line, (frame, time_s) in enumerate(points, 1):
        yield MocapRow(line, frame, time_s, np.array([frame], np.float32))


def placed(*points: tuple[int, float]) -> tuple[list[float], list[tuple[str, int]]]:
    """Return the stamps in s and the losses of rows at 10 frames a second."""
    timeline = MocapTimeline(10.0)
    out = [item for row in rows_at(*points) for item in timeline.receive(row)] + timeline.close()
    stamps = [item.time_ns / NS_PER_S for item in out if isinstance(item, MocapFrame)]
    return stamps, [(item.reason, item.count) for item in out if isinstance(item, MocapLoss)]


def test_one_bad_time_is_placed_by_its_frame_number_and_drags_nothing() -> None:
    for bad in (1e12, 99.0, -5.0, 0.1):
        stamps, losses = placed((1, 0.0), (2, 0.1), (3, bad), (4, 0.3), (5, 0.4))
        assert stamps == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
        assert losses == [("time out of order", 1)]


def test_a_clock_that_is_set_forward_is_believed_once_two_rows_agree() -> None:
    stamps, losses = placed((1, 0.0), (2, 0.1), (3, 60.2), (4, 60.3), (5, 60.4))

    assert stamps == pytest.approx([0.0, 0.1, 0.2, 60.3, 60.4])
    assert losses == [("time out of order", 1)]


def test_a_clock_that_is_set_back_goes_on_by_frame_numbers() -> None:
    stamps, losses = placed((1, 50.0), (2, 50.1), (3, 0.0), (4, 0.1), (6, 0.3))

    assert stamps == pytest.approx([50.0, 50.1, 50.2, 50.3, 50.5])
    assert losses == [("time out of order", 3), ("not in the file", 1)]


def test_a_frame_number_that_makes_no_sense_is_said_and_the_time_believed() -> None:
    stamps, losses = placed((1, 0.0), (2, 0.1), (900_000, 0.2), (4, 0.3), (5, 0.4))

    assert stamps == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert losses == [("frame number out of order", 2)]


def test_a_frame_placed_before_the_watermark_is_moved_behind_it(tmp_path: Path) -> None:
    # A hole of 2 s that was played through, and then a row that claims to lie within it.
    rows = [(n, n / 30, 1) for n in range(10)] + [(12, 2.4, 1), (11, 0.4, 1), (13, 2.45, 1)]

    messages, machine, _ = play(write_openface(tmp_path / "a.csv", rows))

    times_ns, _ = frames_of(messages)
    assert times_ns == sorted(set(times_ns))
    assert machine.lost["stamp"] >= 1


def test_three_files_of_one_recording_are_joined(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{kind}.txt", kind) for kind in KINDS]

    messages, _, _ = play(paths)

    assert isinstance(messages[0], StreamOpened)
    assert len(messages[0].channels) == 189
    blocks = [message for message in messages if isinstance(message, Mocap)]
    assert {block.layout for block in blocks} == {"iemocap.rotated+hand+head"}
    _, values = frames_of(messages)
    assert (values[:, 0], values[:, 165], values[:, 183]) == (
        pytest.approx(values[:, 0], nan_ok=True),
        pytest.approx(values[:, 0], nan_ok=True),
        pytest.approx(values[:, 0], nan_ok=True),
    )


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    face = write(tmp_path / "a.txt", "rotated")
    other = write_openface(tmp_path / "a.csv", [(n, n / 30, 1) for n in range(50)])

    for paths in ([face, other], [face, face]):
        with pytest.raises(MocapError, match="cannot be joined"):
            MocapRecording(paths)


def test_an_empty_recording_opens_and_closes(tmp_path: Path) -> None:
    messages, machine, _ = play(write(tmp_path / "a.txt", "head", frames=0))

    assert [m.kind for m in messages] == ["stream.opened", "progress", "stream.closed"]
    assert machine.frames == 0


def test_the_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "rotated", frames=200)
    recording = MocapRecording([path])
    replay = MocapReplay(recording, 1.0)
    replay.read(0)

    first = [item for item in replay.read(100 * NS_PER_MS) if isinstance(item, MocapFrame)]
    with path.open("a") as file:  # still being written
        file.write(mocap_line(201, 165))
    while not replay.exhausted:
        first += [i for i in replay.read(NS_PER_S * 99) if isinstance(i, MocapFrame)]
    replay.close()

    assert len(first) == 201


@pytest.mark.parametrize("name", ["2people_60fps_p0", "2people_60fps_p1", "demo"])
def test_real_openface_streams_play_whole(data_folder: Path, name: str) -> None:
    path = data_folder / "openface" / f"{name}.csv"

    messages, machine, _ = play(path)

    assert machine.frames == len(path.read_text().splitlines()) - 1
    times_ns, values = frames_of(messages)
    assert times_ns == sorted(set(times_ns))
    assert np.isfinite(values).all()
    assert gaps_of(messages) == []


def test_the_worker_publishes_a_recording(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/hub"
    face = demo_folder() / "anna.csv"
    frames = len(face.read_text().splitlines()) - 1
    where = {"speaker": "anna", "session": "s", "address": address}
    prefixes = ["mocap/s/", "stream.", "progress/s/"]
    received: list[Message] = []
    rows = 0
    with (
        Hub(address),
        closing(Inlet(address, prefixes, from_start=True)) as inlet,
        ThreadPoolExecutor(1) as workers,
    ):
        worker = workers.submit(run_mocap, face, speed=math.inf, **where)
        deadline = time.monotonic() + 20
        # What was said before we were subscribed comes in answer to our request.
        while time.monotonic() < deadline and not (
            rows == frames and any(m.kind == "stream.closed" for m in received)
        ):
            received += inlet.read()
            rows = sum(message.rows for message in received if isinstance(message, Mocap))
            inlet.sockets[0].poll(20)
        machine = worker.result(20)

    kinds = Counter(message.kind for message in received)
    assert (kinds["stream.opened"], kinds["stream.closed"]) == (1, 1)
    assert rows == machine.frames == frames


def test_the_worker_says_why_it_failed_after_closing_its_stream(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "head", frames=0)
    path.write_text(path.read_text() + "1 2 3\n")
    address = f"ipc://{tmp_path}/hub"

    with Hub(address), pytest.raises(MocapError, match="1 of 1 rows are bad"):
        run_mocap(path, speaker="anna", session="s", address=address)


def test_names_that_no_message_could_carry_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for names in ("x" * 500, ",".join(["AU"] * 2_000)):
        path.write_text(f"frame,timestamp,success,{names}\n1,0.0,1,1\n")
        with pytest.raises(MocapError, match="up to 1000 columns with names of up to 40"):
            MocapFile(path)


def test_a_rate_that_no_tracker_has_is_not_believed(tmp_path: Path) -> None:
    for rows in (
        [(1, 0.0, 1), (10**300, 0.001, 1)],
        [(1, 0.0, 1), (2, 1e-9, 1)],
        [(-(10**308), 0.0, 1), (10**308, 1.0, 1)],
    ):
        path = tmp_path / "a.csv"
        header = "frame, timestamp, confidence, success, AU12_r\n"
        path.write_text(header + "".join(f"{n}, {t}, 1, {ok}, 0.5\n" for n, t, ok in rows))
        with MocapFile(path) as file:
            assert file.layout.rate_hz == 0.0


def test_a_time_that_no_recording_reaches_is_not_waited_for(tmp_path: Path) -> None:
    rows = [(n, 9e8 + n / 30, 1) for n in range(1, 31)]
    messages, _, took_ns = play(write_openface(tmp_path / "a.csv", rows))
    assert took_ns < 2 * NS_PER_S
    assert len(frames_of(messages)[0]) == 30
    assert {reason for _, _, reason in gaps_of(messages)} == {"time out of order"}


def test_a_value_too_large_for_the_wire_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"{n}, {n / 30}, 1, 1, {'1e300' if n == 3 else n}\n" for n in range(1, 9))
    path.write_text(f"frame, timestamp, confidence, success, AU12_r\n{rows}")
    messages, _, _ = play(path)
    assert gaps_of(messages) == [("frame", 1, "malformed row")]
