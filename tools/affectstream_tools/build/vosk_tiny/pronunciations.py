"""How the words of the training sentences are pronounced, counted from what espeak-ng said.

Where espeak-ng ran words together, the run is cut into its words.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence

from affectstream_tools.build.vosk_tiny.speech import SpokenSentence

_Pronunciation = tuple[str, ...]
Lexicon = dict[str, list[tuple[_Pronunciation, float]]]
"""Word -> pronunciations, each with its frequency relative to the word's commonest."""

_MOST = 5
_RAREST_SHARE = 0.06


class PronunciationCounter:
    """Counts pronunciations over sentences."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[_Pronunciation]] = defaultdict(Counter)
        self._runs: list[tuple[list[str], _Pronunciation]] = []

    def add(self, text: str, sentence: SpokenSentence) -> None:
        """Count what was heard for each word of ``text``."""
        words = text.split()
        starts = sorted(sentence.word_starts)
        for first, after in zip(starts, [*starts[1:], len(words)], strict=True):
            heard = tuple(phone.name for phone in sentence.phones if phone.word == first)
            if not heard:
                continue
            if after - first == 1:
                self._counts[words[first]][heard] += 1
            else:
                self._runs.append((words[first:after], heard))

    def lexicon(self) -> Lexicon:
        """Return the lexicon: up to five pronunciations per word, the rare ones left out."""
        self._cut_runs()
        lexicon: Lexicon = {}
        for word, counts in self._counts.items():
            total = sum(counts.values())
            commonest, most = counts.most_common(1)[0]
            lexicon[word] = [
                (heard, count / most)
                for heard, count in counts.most_common(_MOST)
                if count / total >= _RAREST_SHARE or heard == commonest
            ]
        return lexicon

    def _cut_runs(self) -> None:
        """Cut each run of words where its parts look most like the words heard alone."""
        alone = {
            word: [heard for heard, _ in counts.most_common(3)]
            for word, counts in self._counts.items()
        }
        for words, heard in self._runs:
            parts = _best_cut(words, heard, alone)
            for word, part in zip(words, parts, strict=False):
                self._counts[word][part] += 1
        self._runs = []


def _best_cut(
    words: Sequence[str], heard: _Pronunciation, alone: dict[str, list[_Pronunciation]]
) -> list[_Pronunciation]:
    best: list[_Pronunciation] = []
    lowest = float("inf")
    for cut in itertools.combinations(range(1, len(heard)), len(words) - 1):
        edges = (0, *cut, len(heard))
        parts = [heard[a:b] for a, b in itertools.pairwise(edges)]
        cost = sum(
            min(edit_distance(part, known) for known in alone.get(word, [()]))
            for word, part in zip(words, parts, strict=True)
        )
        if cost < lowest:
            lowest, best = cost, parts
    return best


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many insertions, deletions and substitutions turn one into the other."""
    row = list(range(len(second) + 1))
    for i, item in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (item != other)),
            )
    return row[-1]
