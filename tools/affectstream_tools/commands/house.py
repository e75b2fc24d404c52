"""``affectstream-lab house``: sizes of the source, circles of imports, names defined twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.terminal import print_table

if TYPE_CHECKING:
    from affectstream_tools.house import House


def house(as_json: AsJson = False) -> None:
    """Measure the source by folder; fail if imports go in a circle or a name is defined twice."""
    from affectstream_tools.house import measure_house

    found = measure_house()
    _print(found)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
    if found.circles or found.doubled:
        raise typer.Exit(1)


def _print(found: House) -> None:
    print_table(
        "lines of the source, by folder",
        ("folder", "files", "median", "longest file", "longest function"),
        [
            (
                size.folder,
                str(size.files),
                f"{size.median_lines:.0f}",
                f"{size.longest_file} {size.longest_file_lines}",
                f"{size.longest_function} {size.longest_function_lines}",
            )
            for size in found.folders
        ],
        (
            f"circles of imports: {len(found.circles)}",
            *(f"  {' <-> '.join(circle)}" for circle in found.circles),
            f"public names defined more than once: {len(found.doubled)}",
            *(f"  {name}: {', '.join(modules)}" for name, modules in found.doubled.items()),
        ),
        width=140,
    )
