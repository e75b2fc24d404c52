"""Dialogues of a ``DialogueModel`` as a corpus in IEMOCAP's own layout: sound, words, motion.

The ``rendered_`` modules make the sound, the words and the motion of a cue. Beside the corpus are
written the model, the emotions and the cues, so that the ceiling of any part can be computed.

It reads like a raw copy (``affectstream.corpus.raw``): five sessions of two speakers each;
half of the dialogues improvised; scenarios that recur in every session; in half of the dialogues
the woman wears the markers. Whoever wears them shows the motion's cue at every turn, also at the
partner's. Happiness is labelled ``exc``, so that protocols with and without ``hap`` see the same.
The emotion is the annotators' majority; their scales lie around the emotion's means. Nothing in it
is IEMOCAP's, and no figure on it is one of IEMOCAP.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.model import CLASSES
from affectstream.errors import AffectstreamError
from affectstream_tools.synthesis.dialogue_model import CUES, MISSING, DialogueModel
from affectstream_tools.synthesis.iemocap_files import (
    MOTION,
    SpokenLine,
    WrittenDialogue,
    write_motion,
    write_text,
    write_wav_file,
    write_words,
)
from affectstream_tools.synthesis.rendered_motion import ShownTurn, move
from affectstream_tools.synthesis.rendered_voice import draw_voice, mix, render_voice
from affectstream_tools.synthesis.rendered_words import render_words
from affectstream_tools.synthesis.truth import Truth, write_truth

_README = """\
# A synthetic corpus, not IEMOCAP

Everything in this folder was drawn by a stated probabilistic model (`model.json`) and made up: no
person was recorded. It has the layout of IEMOCAP so that what reads and learns that corpus can be
tested on one whose best possible scores are known. No figure on it is one of IEMOCAP.
"""

_LABELS = ("ang", "exc", "neu", "sad")
_SPOKEN = ("Anger", "Excited", "Neutral state", "Sadness")
_SCALES = ((1.7, 4.1, 4.2), (4.3, 3.8, 3.4), (3.0, 2.7, 2.9), (1.9, 2.1, 2.2))
_SCALE_SD = 0.5
_TURN_S = (1.5, 2.5)
_PAUSE_S = (0.15, 0.5)
_KINDS = ("impro", "script", "script", "impro")


@dataclass(frozen=True, slots=True)
class _Size:
    """How much is written; see ``write_corpus``.

    Raises:
        ValueError: the layout has no such size.
    """

    sessions: int
    dialogues: int
    utterances: int
    frame_rate_hz: float

    def __post_init__(self) -> None:
        if not 1 <= self.sessions <= 5:
            raise ValueError(f"IEMOCAP's layout has 1 to 5 sessions, not {self.sessions}")
        if not 1 <= self.dialogues <= 396 or not 1 <= self.utterances <= 1998:
            raise ValueError(
                f"{self.dialogues} dialogues of {self.utterances} utterances do not fit IEMOCAP's "
                "names; use 1 to 396 of 1 to 1998"
            )
        if not 5 <= self.frame_rate_hz <= 120:
            raise ValueError(f"motion has 5 to 120 frames a second, not {self.frame_rate_hz}")


def write_corpus(
    folder: Path,
    model: DialogueModel,
    seed: int = 0,
    *,
    sessions: int = 5,
    dialogues_per_session: int = 6,
    utterances: int = 20,
    frame_rate_hz: float = 30.0,
    workers: int = 2,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Truth:
    """Draw dialogues and write them; the same arguments write the same bytes.

    Args:
        folder: new, or empty.
        utterances: of each dialogue.
        frame_rate_hz: of the motion; the real corpus has 120, which makes large files.
        workers: processes that write at once.
        on_done: called after each dialogue with how many are done, of how many.

    Raises:
        AffectstreamError: the folder is not empty, or cannot be written.
        ValueError: the layout has no such size.
    """
    size = _Size(sessions, dialogues_per_session, utterances, frame_rate_hz)
    names = _names(size)
    drawn = model.draw(len(names), size.utterances, np.random.default_rng(seed))
    each = zip(names, *drawn, strict=True)
    tasks = [_Task(folder, name, seed, size, emotions, cues) for name, emotions, cues in each]
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise AffectstreamError(f"{folder} is not empty; name a new folder")
        write_text(folder / "README.md", _README)
        written = dict(_written(tasks, workers, on_done))
    except OSError as error:
        raise AffectstreamError(
            f"{folder} cannot be written ({error.strerror}); name another folder"
        ) from error
    truth = Truth(model, {name: written[name] for name in names}, drawn)
    write_truth(folder, truth, {"seed": seed, **asdict(size)})
    return truth


def _names(size: _Size) -> list[str]:
    """Return the dialogues' names in order, such as Ses01F_impro01 and Ses01M_script01_1.

    In half of the dialogues of each kind the woman wears the markers.
    """
    names = []
    for session in range(1, size.sessions + 1):
        for number in range(size.dialogues):
            kind = _KINDS[number % 4]
            part = "_1" if kind == "script" else ""
            wearer = "FM"[number % 2]
            names.append(f"Ses{session:02d}{wearer}_{kind}{1 + number // 4:02d}{part}")
    return sorted(names)


@dataclass(frozen=True, slots=True)
class _Task:
    """One dialogue to write, with all that a process needs that writes it."""

    folder: Path
    name: str
    seed: int
    size: _Size
    emotions: NDArray[np.int64]
    cues: NDArray[np.int64]


def _written(
    tasks: list[_Task], workers: int, on_done: Callable[[int, int], None]
) -> list[tuple[str, tuple[str, ...]]]:
    if workers == 1 or len(tasks) == 1:
        done = []
        for task in tasks:
            done.append(_write(task))
            on_done(len(done), len(tasks))
        return done
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [pool.submit(_write, task) for task in tasks]
        for count, _ in enumerate(as_completed(waiting), 1):
            on_done(count, len(tasks))
        return [future.result() for future in waiting]


def _write(task: _Task) -> tuple[str, tuple[str, ...]]:
    """Write the files of one dialogue, and return its name and its utterances."""
    session, scenario = int(task.name[3:5]), list(task.name.encode())
    rng = np.random.default_rng((task.seed, *scenario))
    people = np.random.default_rng((task.seed, session))  # the same in all of a session
    voices = {letter: draw_voice(letter == "F", people) for letter in "FM"}
    dialogue = _said(task, rng)
    write_words(task.folder, dialogue)
    own = {"F": int(not dialogue.woman_left), "M": int(dialogue.woman_left)}
    sounds, shown = [], []
    for line, (voice, _, motion) in zip(dialogue.lines, task.cues, strict=True):
        who = line.name[0]
        if voice != MISSING:
            sound = render_voice(int(voice), line.end_s - line.start_s, voices[who], rng)
            sounds.append((line.start_s, own[who], sound))
        shown.append(ShownTurn(line.start_s, line.end_s, int(motion), who == task.name[5]))
    write_wav_file(dialogue.path(task.folder, "wav", ".wav"), mix(sounds, dialogue.duration_s, rng))
    frames = move(shown, dialogue.duration_s, task.size.frame_rate_hz, rng)
    for kind, names in MOTION.items():
        path = dialogue.path(task.folder, f"MOCAP_{kind}")
        write_motion(path, names, task.size.frame_rate_hz, frames[kind])
    return dialogue.name, tuple(f"{dialogue.name}_{line.name}" for line in dialogue.lines)


def _said(task: _Task, rng: np.random.Generator) -> WrittenDialogue:
    """Return who says what when, and how annotators label it."""
    first = int(rng.integers(2))
    lines, end_s = [], 0.3
    for turn, (emotion, cues) in enumerate(zip(task.emotions, task.cues, strict=True)):
        start_s = round(end_s + rng.uniform(*_PAUSE_S), 4)
        end_s = round(start_s + rng.uniform(*_TURN_S), 4)
        words = int(cues[CUES.index("words")])
        line = SpokenLine(
            name=f"{'FM'[(first + turn) % 2]}{turn // 2:03d}",
            start_s=start_s,
            end_s=end_s,
            emotion=_LABELS[emotion],
            scales=(0.0, 0.0, 0.0),
            text=None if words == MISSING else render_words(words, rng),
        )
        lines.append(_judged(line, int(emotion), rng))
    return WrittenDialogue(task.name, tuple(lines), woman_left=bool(rng.integers(2)))


def _judged(line: SpokenLine, emotion: int, rng: np.random.Generator) -> SpokenLine:
    """Two of three annotators name the emotion, the third may not; two rate the scales."""
    named = [emotion, emotion, emotion if rng.random() < 0.5 else int(rng.integers(len(CLASSES)))]
    ratings = np.clip(np.round(rng.normal(_SCALES[emotion], _SCALE_SD, (2, 3))), 1, 5).astype(int)
    annotations = [
        f"C-E{2 + number}:\t{_SPOKEN[name]};\t()"
        for number, name in enumerate(rng.permutation(named))
    ]
    annotations += [
        f"A-E{3 + number}:\tval {rated[0]}; act {rated[1]}; dom  {rated[2]};\t()"
        for number, rated in enumerate(ratings)
    ]
    valence, activation, dominance = (float(mean) for mean in ratings.mean(axis=0))
    return replace(line, scales=(valence, activation, dominance), annotations=tuple(annotations))
