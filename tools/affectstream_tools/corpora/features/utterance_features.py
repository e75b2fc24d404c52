"""Features of a corpus that was prepared, looked up by utterance."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import Corpus
from affectstream_tools.corpora.features.feature_store import FeatureStore, StoredAbout

Features = NDArray[np.float32]

_HELD_BYTES = 256 << 20


@dataclass(slots=True)
class UtteranceFeatures:
    """Features of a corpus.

    Attributes:
        impossible: front end -> why this corpus cannot give it.
        made: front end -> dialogues that were extracted now.
        kept: front end -> dialogues that had been before.
        extracted_s: length of the utterances that were extracted now.
        wall_s: how long it took.
        store, about: where the features lie; (front end, dialogue) -> what their file says.
    """

    corpus: Corpus
    front_ends: tuple[str, ...]
    impossible: Mapping[str, str]
    made: Mapping[str, int]
    kept: Mapping[str, int]
    extracted_s: float
    wall_s: float
    store: FeatureStore = field(repr=False)
    about: Mapping[tuple[str, str], StoredAbout] = field(repr=False)
    _held: OrderedDict[tuple[str, str], dict[str, Features]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _dialogue_of: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._dialogue_of = {u.id: d.id for d in self.corpus.dialogues for u in d.utterances}

    def features(self, front_end: str, utterance: str) -> Features | None:
        """Return a front end's features of an utterance, None where it has none.

        Shapes are in ``extraction``; the arrays cannot be written to. Asking dialogue by dialogue
        is fast; asking in random order is slow where features are large.

        Raises:
            ValueError: the front end was not prepared, or its file is gone.
            KeyError: there is no such utterance.
        """
        if front_end not in self.front_ends:
            raise ValueError(f"{front_end} was not prepared; name it in front_ends")
        dialogue = self._dialogue_of[utterance]
        if self.corpus.kind == "derived" and front_end == "egemaps47":
            return self._statistics()[utterance]
        key = front_end, dialogue
        if key not in self.about:
            return None
        if key not in self._held:
            path = self.store.path(front_end, dialogue)
            self._held[key] = self.store.read(path, self.about[key].key)
            self._forget()
        self._held.move_to_end(key)
        return self._held[key].get(utterance)

    def missing(self, front_end: str) -> Counter[str]:
        """Return why utterances have no features, and how many for each reason."""
        return Counter(
            reason
            for (name, _), about in self.about.items()
            if name == front_end
            for reason in about.missing.values()
        )

    def present(self, front_end: str) -> int:
        """Return how many utterances have features."""
        if self.corpus.kind == "derived" and front_end == "egemaps47":
            return len(self._dialogue_of)
        return sum(len(a.utterances) for (n, _), a in self.about.items() if n == front_end)

    def notes(self) -> list[str]:
        """Return what was guessed or is incomplete in recordings, each sentence once."""
        return list(dict.fromkeys(note for a in self.about.values() for note in a.notes))

    def size_bytes(self, front_end: str) -> int:
        """Return how much of the disk a front end's features take."""
        named = [dialogue for name, dialogue in self.about if name == front_end]
        return sum(self.store.path(front_end, dialogue).stat().st_size for dialogue in named)

    def _statistics(self) -> dict[str, Features]:
        key = "egemaps47", ""
        if key not in self._held:
            utterances = [u for d in self.corpus.dialogues for u in d.utterances]
            self._held[key] = {u.id: u.acoustic for u in utterances if u.acoustic is not None}
        return self._held[key]

    def _forget(self) -> None:
        """Let go of the dialogues that were asked for longest ago."""
        sizes = {key: sum(a.nbytes for a in found.values()) for key, found in self._held.items()}
        while len(self._held) > 1 and sum(sizes.values()) > _HELD_BYTES:
            oldest, _ = self._held.popitem(last=False)
            del sizes[oldest]
