"""Where the experiments keep what can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectstream.errors import AffectstreamError
from affectstream_tools.jobs.folders import cache_folder


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
