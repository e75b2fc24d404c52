"""A picture takes the place of one of ours, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectstream.errors import AffectstreamError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from affectstream.commands.analyze import _pictures
from affectstream.show.picture_file import save_picture


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_picture_of_ours_is_drawn_again(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"talk.{suffix}"
    save_picture(Figure((2, 2)), path, dpi=50)
    small = path.stat().st_size
    figure = Figure((4, 4))
    figure.text(0.5, 0.5, "more")
    save_picture(figure, path, dpi=50)
    assert path.stat().st_size > small
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n of a holiday" * 10_000])
def test_a_file_of_somebody_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "talk.png"
    path.write_bytes(content)
    with pytest.raises(AffectstreamError, match="exists and is no picture of ours; name another"):
        save_picture(Figure((2, 2)), path, dpi=50)
    assert path.read_bytes() == content


def test_what_cannot_be_drawn_leaves_the_picture_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "talk.png"
    save_picture(Figure((2, 2)), path, dpi=50)
    before = path.read_bytes()
    broken = Figure((2, 2))
    broken.text(0, 0, r"$\nosuchthing$")
    with pytest.raises(ValueError, match="nosuchthing"):
        save_picture(broken, path, dpi=50)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_recordings_of_one_name_have_pictures_of_their_own() -> None:
    recordings = [Path(name) for name in ("a/x.wav", "b/x.wav", "b/x.mp3", "b/y.wav")]
    found = _pictures(Path("out"), recordings)
    assert [p.as_posix() for p in found.values()] == [
        "out/x.png", "out/x-2.png", "out/x-3.png", "out/y.png"
    ]  # fmt: skip
    assert _pictures(Path("one.svg"), recordings[:1]) == {recordings[0]: Path("one.svg")}
