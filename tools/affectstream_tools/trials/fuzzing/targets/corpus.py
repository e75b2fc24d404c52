"""Fuzzes the readers of IEMOCAP: a raw copy's text files, and the derived set's table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from random import Random

import numpy as np

from affectstream.corpus.derived import read_derived
from affectstream.corpus.raw import read_raw
from affectstream.corpus.script import derived_script, raw_script
from affectstream.errors import AffectstreamError
from affectstream_tools.synthesis.iemocap_files import (
    SpokenLine,
    WrittenDialogue,
    alignment,
    evaluation,
    transcription,
)
from affectstream_tools.trials.fuzzing.runs import FuzzCase, checked_sentence
from affectstream_tools.trials.fuzzing.spoiling import spoiled_bytes, spoiled_text
from affectstream_tools.trials.fuzzing.targets.files import FileTarget, check_published


class TextsTarget(FileTarget):
    """The readers of a raw copy's EmoEvaluation, transcription and forced alignment."""

    name = "Ses01F_impro01"

    def __init__(self) -> None:
        super().__init__()
        dialog = self.folder / "Session1" / "dialog"
        aligned = self.folder / "Session1" / "sentences" / "ForcedAlignment" / self.name
        self._paths = (
            dialog / "EmoEvaluation" / f"{self.name}.txt",
            dialog / "transcriptions" / f"{self.name}.txt",
            aligned / f"{self.name}_F000.wdseg",
        )
        for path in self._paths:
            path.parent.mkdir(parents=True)

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield the three files, one of them or more spoiled."""
        lines = (
            SpokenLine("F000", 0.5, 1.2, "neu", (2.5, 2.5, 2.5), "Excuse me."),
            SpokenLine("M000", 1.5, 2.4, "ang", (1.5, 4.0, 4.5), "Do you have [LAUGHTER] forms?"),
            SpokenLine("F001", 2.2, 3.0, "xxx", (2.0, 3.0, 3.0), "Yeah."),
        )
        dialogue = WrittenDialogue(self.name, lines)
        good = (evaluation(dialogue), transcription(dialogue), alignment(lines[0]))
        while True:
            spoiled = random.choice(((0,), (1,), (2,), (0, 1, 2)))
            yield [
                spoiled_text(text, random) if index in spoiled else text.encode()
                for index, text in enumerate(good)
            ]

    def read(self, case: FuzzCase) -> None:
        """Read the copy and make its script."""
        for path, data in zip(self._paths, case, strict=True):
            path.write_bytes(data)
        corpus = read_raw(self.folder, alignment=True)
        for warning in corpus.warnings:
            checked_sentence(AffectstreamError(warning))
        for dialogue in corpus.dialogues:
            check_published(
                message for instant in raw_script(dialogue) for message in instant.messages
            )


class DerivedTarget(FileTarget):
    """The reader of the derived set's table and statistics."""

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield the two files, one of them spoiled."""
        names = "id,session,dialog,speaker,start,end,emotion,valence,activation,dominance,text,row"
        rows = [
            f'Ses01F_impro01_F00{n},1,Ses01F_impro01,Ses01F,{n},{n + 1},neu,2.5,3.0,3.5,"a, b",{n}'
            for n in range(3)
        ]
        table = "\n".join([names, *rows]) + "\n"
        file = io.BytesIO()
        np.save(file, np.ones((3, 47), np.float32))
        statistics = file.getvalue()
        while True:
            if random.random() < 0.5:
                yield [spoiled_text(table, random), statistics]
            else:
                head = random.choice((128, 128, len(statistics)))
                yield [table.encode(), spoiled_bytes(statistics[:head], random) + statistics[head:]]

    def read(self, case: FuzzCase) -> None:
        """Read the set and make its scripts."""
        (self.folder / "utterances.csv").write_bytes(case[0])
        (self.folder / "egemaps47.npy").write_bytes(case[1])
        for dialogue in read_derived(self.folder):
            check_published(
                message for instant in derived_script(dialogue) for message in instant.messages
            )
