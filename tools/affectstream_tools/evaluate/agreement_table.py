"""Agreement as tables for a terminal.

Knows: rows and columns. Refuses to know: how anything was measured.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from affectstream.features.egemaps.front_end import EGEMAPS_DESCRIPTORS
from affectstream_tools.evaluate.opensmile_agreement import Agreement


def print_agreement(found: Agreement) -> None:
    """Print what was found on standard error."""
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
