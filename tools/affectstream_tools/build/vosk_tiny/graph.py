"""Builds ``graph/HCLG.fst``, the decoding graph: a bigram with back-off, and the lexicon.

The graph is built directly, one state for each word history and one for backing off, and is not
determinised, so it needs no disambiguation symbols. It is written in OpenFst's vector format.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from affectstream_tools.build.vosk_tiny.acoustic_model import phone_table
from affectstream_tools.build.vosk_tiny.data import TrainingData

_START, _END, _BACKOFF = "<s>", "</s>", "<backoff>"
_FST_MAGIC = 2125659606
_FST_VERSION = 2
_EXPANDED_MUTABLE = 3
_SILENCE_LEAVES, _SILENCE_STAYS = 2, 1  # the transition ids of phone 1
_SILENCE_CHANCE = 0.3  # that silence follows a word
_WORD_COST = 0.5  # added to the cost of each word
_DISCOUNT = 0.5  # taken from each pair's count, for pairs that were never seen


@dataclass(frozen=True, slots=True, order=True)
class Arc:
    """An arc: transition id, word id (0 for none), cost, and the state it leads to."""

    input: int
    output: int
    cost: float
    target: int


@dataclass(slots=True)
class Fst:
    """A transducer in the tropical semiring."""

    start: int = 0
    arcs: list[list[Arc]] = field(default_factory=list)
    final: dict[int, float] = field(default_factory=dict)

    def state(self) -> int:
        """Add a state and return its number."""
        self.arcs.append([])
        return len(self.arcs) - 1

    def arc(self, source: int, input_id: int, output_id: int, cost: float, target: int) -> None:
        """Add an arc."""
        self.arcs[source].append(Arc(input_id, output_id, cost, target))

    def to_bytes(self) -> bytes:
        """Return the transducer as OpenFst's ``vector``/``standard`` file."""

        def name(text: bytes) -> bytes:
            return struct.pack("<i", len(text)) + text

        count = sum(len(arcs) for arcs in self.arcs)
        header = (_FST_VERSION, 0, _EXPANDED_MUTABLE, self.start, len(self.arcs), count)
        parts = [struct.pack("<i", _FST_MAGIC), name(b"vector"), name(b"standard")]
        parts.append(struct.pack("<iiQqqq", *header))
        for state, arcs in enumerate(self.arcs):
            parts.append(struct.pack("<fq", self.final.get(state, math.inf), len(arcs)))
            parts += [
                struct.pack("<iifi", arc.input, arc.output, arc.cost, arc.target)
                for arc in sorted(arcs, key=lambda arc: (arc.input, arc.output))
            ]
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Bigram:
    """Chances of words: by themselves, after another word, and of backing off from that word."""

    unigram: dict[str, float]
    after: dict[str, dict[str, float]]
    backoff: dict[str, float]


def bigram(sentences: list[str], vocabulary: list[str]) -> Bigram:
    """Return the interpolated, absolutely discounted bigram of ``sentences``."""
    singles: Counter[str] = Counter()
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        words = [_START, *sentence.split(), _END]
        for first, second in itertools.pairwise(words):
            pairs[first][second] += 1
            singles[second] += 1
    known = [*vocabulary, _END]
    total = sum(singles.values()) + 0.5 * len(known)
    unigram = {word: (singles[word] + 0.5) / total for word in known}
    after, backoff = {}, {}
    for history, counts in pairs.items():
        seen = sum(counts.values())
        rest = _DISCOUNT * len(counts) / seen
        after[history] = {
            word: (count - _DISCOUNT) / seen + rest * unigram[word]
            for word, count in counts.items()
        }
        backoff[history] = rest
    return Bigram(unigram, after, backoff)


def word_ids(vocabulary: list[str]) -> dict[str, int]:
    """Return the words' numbers in ``words.txt``."""
    return {word: index for index, word in enumerate(["<eps>", *vocabulary, _START, _END])}


def build_graph(data: TrainingData) -> Fst:
    """Return the decoding graph of the data's sentences and lexicon."""
    return _GraphBuilder(data).build()


class _GraphBuilder:
    def __init__(self, data: TrainingData) -> None:
        self._data = data
        self._chances = bigram(data.sentences, data.vocabulary)
        self._phones = {p.name: i for i, p in enumerate(phone_table(data.phones), 1)}
        self._words = word_ids(data.vocabulary)
        self._fst = Fst()
        self._after_word: dict[str, int] = {}
        self._history = self._histories()

    def build(self) -> Fst:
        chances, fst = self._chances, self._fst
        fst.start = fst.state()
        self._optional_silence(fst.start, self._history[_START])
        for history, after in chances.after.items():
            source = self._history[history]
            for word, chance in after.items():
                if word == _END:
                    fst.final[source] = -math.log(chance)
                else:
                    self._add_word(source, word, chance)
            cost = -math.log(chances.backoff[history])
            fst.arc(source, 0, 0, cost, self._history[_BACKOFF])
        for word in self._data.vocabulary:
            self._add_word(self._history[_BACKOFF], word, chances.unigram[word])
        fst.final[self._history[_BACKOFF]] = -math.log(chances.unigram[_END])
        return fst

    def _histories(self) -> dict[str, int]:
        seen = sorted(word for word in self._chances.after if word != _START)
        states = {word: self._fst.state() for word in (_START, *seen, _BACKOFF)}
        for word in self._data.vocabulary:
            states.setdefault(word, states[_BACKOFF])
        return states

    def _optional_silence(self, source: int, target: int) -> None:
        chance, silence = _SILENCE_CHANCE, self._fst.state()
        self._fst.arc(source, 0, 0, -math.log(1 - chance), target)
        self._fst.arc(source, _SILENCE_LEAVES, 0, -math.log(chance), silence)
        self._fst.arc(silence, _SILENCE_STAYS, 0, 0.0, silence)
        self._fst.arc(silence, 0, 0, 0.0, target)

    def _word_end(self, word: str) -> int:
        if word not in self._after_word:
            self._after_word[word] = self._fst.state()
            self._optional_silence(self._after_word[word], self._history[word])
        return self._after_word[word]

    def _add_word(self, source: int, word: str, chance: float) -> None:
        cost = _WORD_COST - math.log(chance)
        for phones, frequency in self._data.lexicon[word]:
            state = source
            for place, phone in enumerate(phones):
                number = self._phones[f"{phone}_{_position(place, len(phones))}"]
                following = self._fst.state()
                first = place == 0
                self._fst.arc(
                    state,
                    2 * number,
                    self._words[word] if first else 0,
                    cost - math.log(frequency) if first else 0.0,
                    following,
                )
                self._fst.arc(following, 2 * number - 1, 0, 0.0, following)
                state = following
            self._fst.arc(state, 0, 0, 0.0, self._word_end(word))


def _position(place: int, length: int) -> str:
    if length == 1:
        return "S"
    if place == 0:
        return "B"
    return "E" if place == length - 1 else "I"
