"""Files of trackers as spreadsheets, Windows and scenes of several people leave them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.sources.mocap.files import BadRow, MocapFile
from affectstream.sources.mocap.frames import MocapFrame, MocapLoss, MocapRecording
from affectstream.sources.mocap.rows import MocapRow
from affectstream.sources.text_files import table_number

HEADER = "frame, timestamp, confidence, success, pose_Rx, AU12_r"


def plain(frames: int = 90) -> str:
    rows = [f"{n}, {n / 30:.4f}, 0.98, 1, {n / 1000:.3f}, {n % 5}.25" for n in range(frames)]
    return "\n".join([HEADER, *rows]) + "\n"


def read(path: Path) -> tuple[list[MocapRow], list[BadRow], MocapFile]:
    with MocapFile(path) as file:
        rows = list(file)
    good = [row for row in rows if isinstance(row, MocapRow)]
    return good, [row for row in rows if isinstance(row, BadRow)], file


def values_of(rows: list[MocapRow]) -> NDArray[np.float32]:
    return np.stack([row.values for row in rows])


def each_line(change: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda text: "".join(change(line) + "\n" for line in text.splitlines()).encode()


VARIANTS: dict[str, Callable[[str], bytes]] = {
    "byte-order mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "semicolons and decimal commas": lambda text: text.replace(",", ";").replace(".", ",").encode(),
    "tabs": lambda text: text.replace(", ", "\t").encode(),
    "a trailing comma": each_line(lambda line: line + ","),
    "a trailing comma in the rows": each_line(
        lambda line: line if line.startswith("frame") else line + ", "
    ),
    "a trailing comma in the header": each_line(
        lambda line: line + "," if line.startswith("frame") else line
    ),
    "quotation marks": each_line(lambda line: ",".join(f'"{w.strip()}"' for w in line.split(","))),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_table_says_the_same_however_it_was_written(tmp_path: Path, name: str) -> None:
    usual, path = tmp_path / "usual.csv", tmp_path / "a.csv"
    usual.write_text(plain())
    path.write_bytes(VARIANTS[name](plain()))
    expected, _, known = read(usual)
    rows, bad, file = read(path)
    assert not bad
    assert file.layout == known.layout
    assert np.array_equal(values_of(rows), values_of(expected))
    assert [(r.frame, r.time_s) for r in rows] == [(r.frame, r.time_s) for r in expected]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_real_file_says_the_same_however_it_was_written(
    tmp_path: Path, data_folder: Path, name: str
) -> None:
    real = data_folder / "openface" / "demo.csv"
    path = tmp_path / "a.csv"
    path.write_bytes(VARIANTS[name](real.read_text().replace(",", ", ")))
    expected, _, _ = read(real)
    rows, bad, _ = read(path)
    assert not bad
    assert np.array_equal(values_of(rows), values_of(expected))


@pytest.mark.parametrize("word", ["-nan(ind)", "nan(ind)", "-1.#IND", "1.#QNAN", "NaN", "", "NA"])
def test_what_programs_write_for_no_number_is_a_lost_coordinate(tmp_path: Path, word: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(plain().replace("1.25\n", f"{word}\n"))
    rows, bad, _ = read(path)
    assert not bad
    assert len(rows) == 90
    assert np.flatnonzero(np.isnan(values_of(rows)[:, 1])).tolist() == list(range(1, 90, 5))
    assert math.isnan(table_number(word))


def test_a_word_is_still_no_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(plain().replace("1.25\n", "nanosecond\n"))
    assert len(read(path)[1]) == 18


def test_a_file_without_times_is_placed_by_its_frames_and_that_is_said_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join([HEADER, *(f"{n}, 0, 1, 1, 0.1, 2" for n in range(1, 91))]))
    recording = MocapRecording([path])
    items = list(recording.frames())
    recording.close()
    assert recording.layout.rate_hz == 30.0
    times_s = [item.time_ns / 1e9 for item in items if isinstance(item, MocapFrame)]
    assert times_s == pytest.approx([n / 30 for n in range(90)])
    (loss,) = [item for item in items if isinstance(item, MocapLoss)]
    assert (loss.lost, loss.count) == ("stamp", 1)
    assert loss.reason == "no times in the file, 30 frames a second assumed"


# Several faces


def faces_table(frames: list[list[tuple[int, list[float]]]], names: str = "pose_Rx, AU12_r") -> str:
    """Return a table; of each frame the faces' numbers and values."""
    lines = [f"frame, face_id, timestamp, confidence, success, {names}"]
    lines += [
        f"{n}, {face}, {n / 30:.4f}, 0.9, 1, {', '.join(map(str, values))}"
        for n, faces in enumerate(frames)
        for face, values in faces
    ]
    return "\n".join(lines) + "\n"


def test_a_face_of_any_number_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(faces_table([[(3, [0.1, n])] for n in range(50)]))
    rows, _, _ = read(path)
    assert values_of(rows)[:, 1].tolist() == list(range(50))


HEADS = "pose_Tx, pose_Ty, pose_Tz, AU12_r"


@pytest.mark.parametrize("names", [HEADS, "x_0, x_1, y_0, y_1, AU12_r", "pose_Rx, AU12_r"])
def test_faces_that_swap_numbers_stay_the_persons_they_are(tmp_path: Path, names: str) -> None:
    """Anna is on the left and smiles; she keeps her values when she gets Ben's number."""

    def values(left: bool, n: int) -> list[float]:
        x, smile = (100.0 if left else 500.0) + n, 4.0 if left else 0.5
        where = {4: [x, 10.0, 600.0], 5: [x, x + 80, 10.0, 90.0], 2: [0.2 if left else -0.1]}
        return [*where[len(names.split(","))], smile]

    frames = []
    for n in range(90):
        anna, ben = (1, 0) if 30 <= n < 60 else (0, 1)
        frames.append(sorted([(anna, values(True, n)), (ben, values(False, n))]))
    path = tmp_path / "a.csv"
    path.write_text(faces_table(frames, names))
    rows, _, _ = read(path)
    assert values_of(rows)[:, -1].tolist() == [4.0] * 90


def test_of_two_faces_the_one_that_is_lost_is_not_taken_for_the_other(tmp_path: Path) -> None:
    anna, ben = [100.0, 0.0, 600.0, 4.0], [600.0, 0.0, 600.0, 0.5]
    frames = [[(0, anna), (1, ben)]] * 30 + [[(0, ben)]] * 30 + [[(0, ben), (2, anna)]] * 30
    path = tmp_path / "a.csv"
    path.write_text(faces_table(frames, HEADS))
    rows, _, _ = read(path)
    assert [row.frame for row in rows] == [*range(30), *range(60, 90)]
    assert set(values_of(rows)[:, -1].tolist()) == {4.0}


def test_a_face_that_is_found_again_elsewhere_under_another_number_is_followed(
    tmp_path: Path,
) -> None:
    frames: list[list[tuple[int, list[float]]]] = [[(0, [100.0, 0.0, 600.0, 1.0])]] * 10
    frames += [[]] * 50 + [[(4, [700.0, 0.0, 600.0, 1.0])]] * 10
    path = tmp_path / "a.csv"
    path.write_text(faces_table(frames, HEADS))
    assert len(read(path)[0]) == 20


def test_one_face_after_the_other_in_a_file_gives_the_first(tmp_path: Path) -> None:
    table = faces_table([[(0, [0.1, 4.0])]] * 150)
    path = tmp_path / "a.csv"
    path.write_text(table + table.partition("\n")[2].replace(", 0, ", ", 1, ", 1))
    other = faces_table([[(1, [0.1, 0.5])]] * 150).partition("\n")[2]
    path.write_text(table + other)
    rows, _, _ = read(path)
    assert [row.frame for row in rows] == list(range(150))
    assert set(values_of(rows)[:, 1].tolist()) == {4.0}


def test_two_real_people_whose_numbers_swap_at_random_stay_apart(
    tmp_path: Path, data_folder: Path
) -> None:
    """The shared files have no positions: the people are told apart by what their faces do."""
    files = [data_folder / "openface" / f"2people_60fps_p{n}.csv" for n in (0, 1)]
    tables = [file.read_text().splitlines() for file in files]
    chance, swapped = random.Random(3), False
    lines = [tables[0][0].replace("frame,", "frame,face_id,", 1)]
    for first, second in zip(tables[0][1:], tables[1][1:], strict=True):
        swapped ^= chance.random() < 0.05
        pair = (second, first) if swapped else (first, second)
        lines += [row.replace(",", f",{face},", 1) for face, row in enumerate(pair)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    expected, _, _ = read(files[0])
    rows, _, _ = read(path)
    assert np.array_equal(values_of(rows), values_of(expected))


def test_a_frame_of_very_many_faces_is_bounded(tmp_path: Path) -> None:
    frames = [[(face, [0.1, face]) for face in range(3_000)] for _ in range(3)]
    path = tmp_path / "a.csv"
    path.write_text(faces_table(frames))
    rows, _, _ = read(path)
    assert values_of(rows)[:, 1].tolist() == [0.0] * 3
