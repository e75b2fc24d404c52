"""``affectstream-lab agreement``: our front ends beside openSMILE, Praat and pyAudioAnalysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.terminal import fail, progress_bar


def agreement(
    audio: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="A folder of recordings at 16 kHz.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Derived IEMOCAP set: score a classifier on RAVDESS too."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the front ends with openSMILE, Praat and pyAudioAnalysis."""
    from affectstream.errors import AffectstreamError
    from affectstream_tools.evaluate.agreement_table import print_agreement
    from affectstream_tools.evaluate.opensmile_agreement import measure_agreement

    try:
        with progress_bar() as bar:
            task = bar.add_task("agreement")
            found = measure_agreement(
                audio,
                data,
                lambda what, done, total: bar.update(
                    task, description=what, completed=done, total=total
                ),
            )
    except AffectstreamError as error:
        fail(str(error), status=1)
    print_agreement(found)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
