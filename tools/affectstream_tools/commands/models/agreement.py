"""``affectstream-lab agreement``: our front ends beside openSMILE, Praat and pyAudioAnalysis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream.commands.options import AsJson
from affectstream_tools.terminal import fail, progress_bar

if TYPE_CHECKING:
    from affectstream_tools.evaluate.opensmile_agreement import Agreement


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
    _print(found)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))


def _print(found: Agreement) -> None:
    from rich.console import Console
    from rich.table import Table

    from affectstream.features.egemaps.front_end import EGEMAPS_DESCRIPTORS

    console = Console(stderr=True)
    console.width = max(console.width, 100)  # a narrow pipe would cut the names
    table = Table(
        title=f"egemaps beside openSMILE, Pearson's r over {found.clips} clips",
        title_justify="left",
    )
    for heading in ("statistic", "mean", "standard deviation"):
        table.add_column(heading, justify="left" if heading == "statistic" else "right")
    for name in EGEMAPS_DESCRIPTORS:
        table.add_row(name, f"{found.r[f'{name}_mean']:.4f}", f"{found.r[f'{name}_sd']:.4f}")
    table.add_row("silence (librosa's)", f"{found.r['silence']:.4f}", "")
    console.print(table)
    for group, least in found.min_r.items():
        console.print(f"least r of {group}: {least:.4f}")
    if found.uar:
        console.print(
            f"IEMOCAP to RAVDESS, four classes: UAR {found.uar['ours']:.4f} through ours, "
            f"{found.uar['opensmile']:.4f} through openSMILE"
        )
    praat = found.woellmer
    console.print(
        f"woellmer beside Praat: pitch r {praat.pitch_r:.5f}, energy r {praat.energy_r:.5f}, "
        f"voicing agrees in {praat.voicing:.2%} of frames ({praat.voicing_streaming:.2%} streaming)"
    )
    worst = max(found.tripathi34, key=found.tripathi34.__getitem__)
    console.print(
        "tripathi34 beside pyAudioAnalysis: greatest relative error "
        f"{found.tripathi34[worst]:.1e} ({worst})"
    )
