"""``affectstream-lab house``: on a small tree that is made up, and on the real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from affectstream_tools import house
from affectstream_tools.commands.app import lab

FILES = {
    "__init__.py": '"""Only words."""\n',
    "first.py": """\
        import json
        from odd_house.inner import second as other

        LIMIT, _PRIVATE = 3, 4

        def act():
            def inside():
                pass
            return json, other

        class Machine:
            size: int = 1

            def run(self):
                return [
                    name
                    for name in "abc"
                ]
        """,
    "third.py": "from json import dumps as Machine\n\nwords = [name for name in 'ab']\n",
    "inner/__init__.py": "",
    "inner/second.py": """\
        if True:
            LIMIT: int = 5
        else:
            LIMIT = 6

        def name():
            from odd_house.inner.fourth import act
            return act
        """,
    "inner/fourth.py": """\
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            import odd_house.first

        _PRIVATE = 1

        try:
            act = 1
        except ValueError:
            act = 2
        """,
}


@pytest.fixture
def odd_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in FILES.items():
        file = tmp_path / "odd_house" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = text.splitlines(keepends=True)
        file.write_text("".join(line.removeprefix(" " * 8) for line in lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(house, "PACKAGES", ("odd_house",))


def found_by_command(status: int | None = None) -> dict[str, Any]:
    result = CliRunner().invoke(lab, ["house", "--json"])
    assert status is None or result.exit_code == status, result.output
    assert "circles of imports: " in result.stderr
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_a_circle_and_a_doubled_name_are_found(odd_house: None) -> None:
    found = found_by_command(status=1)
    assert found["circles"] == [
        ["odd_house.first", "odd_house.inner.fourth", "odd_house.inner.second"]
    ]
    assert found["doubled"] == {
        "LIMIT": ["odd_house.first", "odd_house.inner.second"],
        "act": ["odd_house.first", "odd_house.inner.fourth"],
    }


def test_files_and_functions_are_measured_by_folder(odd_house: None) -> None:
    outer, inner = house.measure_house().folders
    assert (outer.folder, outer.files, outer.median_lines) == ("odd_house", 2, 10.5)
    assert (outer.longest_file, outer.longest_file_lines) == ("first.py", 18)
    assert (outer.longest_function, outer.longest_function_lines) == ("Machine.run", 5)
    assert (inner.folder, inner.files) == ("odd_house.inner", 2)


def test_no_name_is_defined_twice_and_there_is_no_circle() -> None:
    found = found_by_command(status=0)
    assert {size["folder"].split(".")[0] for size in found["folders"]} == set(house.PACKAGES)
    assert found["circles"] == []
    assert found["doubled"] == {}
