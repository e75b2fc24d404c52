"""Where the experiments keep what can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.folders import cache_folder, check_reports


def test_the_cache_is_where_xdg_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "affectstream"
    assert cache_folder().is_dir()


@pytest.mark.parametrize("unset", ["", "relative/path"])
def test_else_it_is_in_the_home(
    unset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", unset)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "affectstream"


def test_a_cache_that_cannot_be_made_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(AffectstreamError, match="set XDG_CACHE_HOME"):
        cache_folder()


@pytest.mark.parametrize(
    ("there", "content"), [("t.json", "[1, 2]"), ("t.json", "\udcff"), ("t.md", "my notes")]
)
def test_a_report_takes_the_place_of_nothing_but_a_report(
    tmp_path: Path, there: str, content: str
) -> None:
    paths = tmp_path / "t.json", tmp_path / "t.md"
    check_reports(*paths)
    (tmp_path / there).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(AffectstreamError, match="no report of ours; name another --out"):
        check_reports(*paths)
    paths[0].write_text('{"seed": 0, "command": "affectstream-lab fuzz"}')
    check_reports(*paths)
