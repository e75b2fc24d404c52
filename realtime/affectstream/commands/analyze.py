"""`affectstream analyze`: recordings in, a table, JSON lines, csv and pictures out.

Knows: progress, printing, and the names of the pictures.
Refuses to know: how a recording is analysed (``fusion.pipeline``) and drawn (``show.timeline``).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from affectstream.errors import AffectstreamError, UsageError, brief, printable
from affectstream.messages import Emotion
from affectstream.show.console import PrintableConsole
from affectstream.show.lines import drop_output, print_json
from affectstream.show.picture_file import check_picture
from affectstream.show.wording import NOTICE, clock, event_line, label

if TYPE_CHECKING:
    from affectstream.fusion.pipeline import Analysis, Analyst

FORMATS = ("table", "json", "csv")
_MOST_NAMED = 10  # of the recordings that were not read; each was named before


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """What to analyse and what to make of it.

    Attributes:
        paths: recordings, and folders of them.
        speakers: who is on which channel, the first on ``channel``.
        output: one of ``FORMATS``.
        plot: of one recording the picture, of several the folder for them.
    """

    paths: tuple[Path, ...]
    speakers: tuple[str, ...] = ("speaker",)
    channel: int = 0
    output: str = "table"
    plot: Path | None = None
    vad: str = "webrtc"
    look_ahead: int | None = 8
    vosk_model: Path | None = None
    checkpoint: str = "live"


def run_analysis(plan: AnalysisPlan, console: Console) -> bool:
    """Analyse, print, draw; return whether it was done of all recordings and speakers.

    It was not where a recording cannot be read, or where a speaker is silent on the channel that
    was named but somebody speaks on another. Each is said. A recording in which nobody speaks is
    no failure.

    Args:
        console: for progress and remarks; results go to standard output.

    Raises:
        AffectstreamError: there is no recording, or something is missing to analyse one. Where
            there are several, a recording that cannot be read is named and the others go on.
    """
    from affectstream.fusion.pipeline import recordings_in
    from affectstream.run.leash import stop_when_told
    from affectstream.sources.decoders import SOUND_SUFFIXES

    recordings = recordings_in(plan.paths, SOUND_SUFFIXES)
    _check(plan, recordings)
    console.print(NOTICE, style="dim italic", soft_wrap=True)
    analyst = _analyst(plan, console)
    writer = _Writer(plan.output, sys.stdout)
    unread: list[Path] = []
    complete = True
    with stop_when_told() as stopping:
        for analysis in _analyses(plan, analyst, recordings, unread, console, stopping):
            try:
                writer.write(analysis)
            except BrokenPipeError:  # pictures may still be wanted
                drop_output()
            for gap in analysis.gaps:
                console.print(event_line(gap), style="red", soft_wrap=True)
            complete = _say_silence(analysis, plan, console) and complete
            if plan.plot is not None:
                _draw(analysis, _pictures(plan.plot, recordings)[analysis.path])
    if unread:
        names = ", ".join(brief(path.name, 60) for path in unread[:_MOST_NAMED])
        more = ", ..." if len(unread) > _MOST_NAMED else ""
        _say(console, f"{len(unread)} of {len(recordings)} recordings were not read: {names}{more}")
    return complete and not unread


def _say_silence(analysis: Analysis, plan: AnalysisPlan, console: Console) -> bool:
    """Say who was not heard; return False where somebody else was."""
    if not analysis.silent:
        return True
    name, missed = brief(analysis.path.name, 60), analysis.missed_channel
    if not analysis.emotions and missed is None:
        if plan.output != "table":  # a table says it below its heading
            _say(console, f"{name}: no speech was found", style="yellow")
        return True
    channels = [plan.channel + plan.speakers.index(speaker) for speaker in analysis.silent]
    silent = ", ".join(
        f"{who} (channel {at})" for who, at in zip(analysis.silent, channels, strict=True)
    )
    remedy = "see whether it was recorded"
    if missed is not None:
        remedy = f"channel {missed} has speech, choose it with --channel"
    _say(console, f"{name}: no speech of {silent} was found; {remedy}")
    return False


def _say(console: Console, words: str, style: str = "red") -> None:
    console.print(f"-- {words}", style=style, soft_wrap=True)


def _check(plan: AnalysisPlan, recordings: Sequence[Path]) -> None:
    """Look at what was asked for before anything is loaded."""
    from affectstream.sources.audio_file import AudioFile
    from affectstream.sources.decoders import SOUND_SUFFIXES
    from affectstream.sources.speech import voice_activity

    if not recordings:
        raise UsageError(
            f"{', '.join(map(str, plan.paths))} holds no recording; name a wav file, or a folder "
            f"of {', '.join(SOUND_SUFFIXES)}"
        )
    if plan.plot is not None:
        import affectstream.show.timeline  # noqa: F401  what it needs is missed now

        if len(recordings) > 1 and plan.plot.suffix:
            raise UsageError(f"{plan.plot} is one picture for several recordings; name a folder")
        for picture in _pictures(plan.plot, recordings).values():
            check_picture(picture)
    voice_activity(plan.vad)
    if len(recordings) == 1:
        AudioFile(recordings[0], channel=plan.channel + len(plan.speakers) - 1).close()


def _analyst(plan: AnalysisPlan, console: Console) -> Analyst:
    from affectstream.fusion.pipeline import Analyst
    from affectstream.fusion.pretrained import PretrainedModel
    from affectstream.sources.asr import HOW_TO_GET_A_MODEL, find_model, load_vosk

    found = find_model(plan.vosk_model)
    recognizer = None
    if found is None:
        console.print(HOW_TO_GET_A_MODEL, style="yellow", soft_wrap=True)
    else:
        recognizer = (load_vosk(found), f"vosk {found.resolve().name}")
    with console.status("loading the model"):
        model = PretrainedModel(plan.checkpoint)
    return Analyst(model, recognizer=recognizer, look_ahead=plan.look_ahead, vad=plan.vad)


def _analyses(
    plan: AnalysisPlan,
    analyst: Analyst,
    recordings: Sequence[Path],
    unread: list[Path],
    console: Console,
    stopping: Callable[[], bool],
) -> Iterator[Analysis]:
    """Yield what became of each recording; one that was not read gets into ``unread``."""
    speakers = [(name, plan.channel + number) for number, name in enumerate(plan.speakers)]
    columns = (BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f} s"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    description = TextColumn("{task.description}", markup=False)
    with Progress(description, *columns, *times, console=console, transient=True) as bar:
        for number, path in enumerate(recordings, 1):
            task = bar.add_task(f"{number}/{len(recordings)} {path.name}", total=0)
            shown = partial(_show, bar, task)
            try:
                yield analyst.analyse(path, speakers, on_progress=shown, stopping=stopping)
            except AffectstreamError as error:
                if len(recordings) == 1:
                    raise
                _say(console, str(error))
                unread.append(path)
            bar.remove_task(task)
            if stopping():
                return


def _show(bar: Progress, task: TaskID, heard_s: float, total_s: float) -> None:
    bar.update(task, completed=heard_s, total=total_s)


def _pictures(plot: Path, recordings: Sequence[Path]) -> dict[Path, Path]:
    """Return each recording's picture: ``plot``, or a file in it; of one name there may be two."""
    if len(recordings) == 1 and plot.suffix:
        return {recordings[0]: plot}
    pictures: dict[Path, Path] = {}
    for recording in recordings:
        picture, number = plot / f"{recording.stem}.png", 1
        while picture in pictures.values():
            number += 1
            picture = plot / f"{recording.stem}-{number}.png"
        pictures[recording] = picture
    return pictures


def _draw(analysis: Analysis, picture: Path) -> None:
    from affectstream.show.timeline import plot_timeline

    picture.parent.mkdir(parents=True, exist_ok=True)
    plot_timeline(analysis, picture)


class _Writer:
    """Prints what was found of each recording, as it is found."""

    def __init__(self, output: str, stream: TextIO) -> None:
        self._output, self._stream = output, stream
        self._csv: csv.DictWriter[str] | None = None
        self.written = 0

    def write(self, analysis: Analysis) -> None:
        """Print one recording's utterances."""
        from affectstream.fusion.pipeline import record_of

        self.written += len(analysis.emotions)
        if self._output == "table":
            PrintableConsole(file=self._stream).print(_table(analysis))
        for emotion in analysis.emotions:
            record = record_of(analysis, emotion)
            if self._output == "json":
                print_json(record)
            elif self._output == "csv":
                self._write_csv(record | {"modalities": "+".join(emotion.modalities)})
        self._stream.flush()

    def _write_csv(self, record: dict[str, object]) -> None:
        if self._csv is None:
            self._csv = csv.DictWriter(self._stream, list(record), restval="", lineterminator="\n")
            self._csv.writeheader()
        said = {name: printable(v) if isinstance(v, str) else v for name, v in record.items()}
        self._csv.writerow(said)


def _table(analysis: Analysis) -> Table:
    seconds = f"{analysis.duration_s:.1f} s"
    early = ", stopped early" if analysis.ended_early else ""
    title = Text(f"{analysis.path.name}  ({seconds}{early})")
    table = Table(title=title, title_justify="left", caption_justify="left")
    for heading in ("from", "to", "who", "words", "emotion"):
        table.add_column(heading, no_wrap=heading != "words")
    for heading in ("share", "val", "act", "dom"):
        table.add_column(heading, justify="right")
    for emotion in analysis.emotions:
        table.add_row(*_cells(emotion))
    if not analysis.emotions:
        table.caption = "no speech was found"
    return table


def _cells(emotion: Emotion) -> list[Text]:
    scales = [
        f"{emotion.dimensional[name].mean:.1f}" if name in emotion.dimensional else "–"
        for name in ("valence", "activation", "dominance")
    ]
    words = [
        *(clock(emotion.start_ns), clock(emotion.end_ns), emotion.speaker, emotion.text or "–"),
        *(label(emotion), f"{emotion.categorical[emotion.label]:.0%}", *scales),
    ]
    return [Text(word) for word in words]
