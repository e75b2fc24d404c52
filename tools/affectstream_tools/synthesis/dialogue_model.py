"""A probabilistic model of emotional dialogues, and the exact posterior of each emotion under it.

Two speakers take turns. Who speaks keeps the emotion of their own last turn with one chance
(``inertia``), takes one as a reaction to the partner's last turn with another (``reaction``), and
else takes any (``base``). The emotions of a dialogue are therefore a chain of second order. As a
pair (who speaks, who listens) they are a chain of first order with 16 states. Dialogues begin in
its stationary distribution: at each turn each emotion is as likely as at any other turn.

Each turn shows a cue in each modality, one of four symbols. With the chance that is the modality's
``informativeness`` it is the emotion's own symbol, and else any of the four: 0 tells nothing, 1
tells the emotion. Given the emotion, the cues are independent. A cue may be missing.

Posteriors are computed by the forward-backward algorithm (Baum et al. 1970; Rabiner 1989, III).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.model import CLASSES

DrawnArray = NDArray[np.float64]
_Cues = NDArray[np.int64]

CUES = ("voice", "words", "motion")
MISSING = -1
"""A cue that is not there."""

CEILING_LOOK_AHEADS = ("none", "causal", "1", "2", "4", "8", "full")
"""What is known of a dialogue at a turn: ``none``, the turn alone; ``causal``, all turns until it;
a number, so many later turns too; ``full``, all turns."""

_COUNT = len(CLASSES)


def _check_chance(what: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{what} is a chance within 0..1, not {value}")


@dataclass(frozen=True, slots=True)
class CueChannel:
    """How one modality shows an emotion.

    Attributes:
        informativeness: chance that the cue is the emotion's own; else it is any of the four.
        missing: chance that there is no cue, whatever the emotion.

    Raises:
        ValueError: one of them is no chance.
    """

    informativeness: float
    missing: float = 0.0

    def __post_init__(self) -> None:
        _check_chance("an informativeness", self.informativeness)
        _check_chance("a chance of a missing cue", self.missing)

    def chances(self) -> DrawnArray:
        """Chances (4, 4) of each cue (column) given the emotion (row), where there is a cue."""
        return self.informativeness * np.eye(_COUNT) + (1 - self.informativeness) / _COUNT


class Drawn(NamedTuple):
    """Dialogues that were drawn.

    Attributes:
        emotions: (N, T) of 0..3, in the order of ``CLASSES``.
        cues: (N, T, 3) of 0..3 or ``MISSING``, in the order of ``CUES``.
    """

    emotions: NDArray[np.int64]
    cues: _Cues


@dataclass(frozen=True, slots=True)
class DialogueModel:
    """The chances by which dialogues are drawn; the module describes them.

    Attributes:
        inertia, reaction: chances, together at most 1.
        base: chances of the four emotions, where neither inertia nor reaction decides.
        reactions: chances of the four emotions (columns) after each of the partner's (rows).

    Raises:
        ValueError: some of them are no chances.
    """

    voice: CueChannel = CueChannel(0.5)
    words: CueChannel = CueChannel(0.6)
    motion: CueChannel = CueChannel(0.4)
    inertia: float = 0.65
    reaction: float = 0.2
    base: tuple[float, ...] = (0.27, 0.3, 0.2, 0.23)
    reactions: tuple[tuple[float, ...], ...] = (
        (0.7, 0.0, 0.0, 0.3),  # anger is returned, or hurts
        (0.0, 0.8, 0.2, 0.0),  # happiness is shared
        (0.0, 0.1, 0.8, 0.1),
        (0.0, 0.0, 0.5, 0.5),  # sadness is consoled, or shared
    )

    def __post_init__(self) -> None:
        _check_chance("inertia and reaction together", self.inertia + self.reaction)
        _check_chance("inertia", self.inertia)
        for row in (self.base, *self.reactions):
            if len(row) != _COUNT or min(row) < 0 or abs(sum(row) - 1) > 1e-9:
                raise ValueError(f"{_COUNT} chances must sum to 1, not {row}")
        if len(self.reactions) != _COUNT or not np.isfinite(self.stationary).all():
            raise ValueError("reactions need a row for each of the four emotions")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The model that ``to_dict`` described."""
        shown = {name: CueChannel(**values[name]) for name in CUES}
        rest: dict[str, Any] = {name: values[name] for name in ("inertia", "reaction")}
        rest["base"] = tuple(values["base"])
        rest["reactions"] = tuple(tuple(row) for row in values["reactions"])
        return cls(shown["voice"], shown["words"], shown["motion"], **rest)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @property
    def channels(self) -> tuple[CueChannel, ...]:
        """The modalities' channels, in the order of ``CUES``."""
        return self.voice, self.words, self.motion

    @property
    def follow(self) -> DrawnArray:
        """Chances (4, 4, 4): by the speaker's last emotion and the partner's, of each emotion."""
        keep = self.inertia * np.eye(_COUNT)[:, None, :]
        react = self.reaction * np.array(self.reactions)[None, :, :]
        return keep + react + (1 - self.inertia - self.reaction) * np.array(self.base)

    @property
    def transitions(self) -> DrawnArray:
        """Chances (16, 16) from (who spoke, who listened) to (who speaks, who listens)."""
        table = np.zeros((_COUNT,) * 4)  # spoke, listened, speaks, listens
        for spoke in range(_COUNT):
            table[spoke, :, :, spoke] = self.follow[:, spoke, :]
        return table.reshape(_COUNT**2, _COUNT**2)

    @property
    def stationary(self) -> DrawnArray:
        """Chances (16,) of a state at any turn."""
        size = _COUNT**2
        system = np.concatenate((self.transitions.T - np.eye(size), np.ones((1, size))))
        wanted = np.append(np.zeros(size), 1.0)
        solved = np.maximum(np.linalg.lstsq(system, wanted)[0], 0.0)
        return np.asarray(solved / solved.sum())

    @property
    def prior(self) -> DrawnArray:
        """Chances (4,) of an emotion at any turn."""
        return np.asarray(self.stationary.reshape(_COUNT, _COUNT).sum(axis=1))

    @property
    def bigram(self) -> DrawnArray:
        """Chances (4, 4) of an emotion after the last turn's: what a first-order model knows."""
        listened = self.stationary.reshape(_COUNT, _COUNT) / self.prior[:, None]
        return np.asarray(np.einsum("sl,lsn->sn", listened, self.follow))

    def draw(self, dialogues: int, turns: int, rng: np.random.Generator) -> Drawn:
        """Draw dialogues of so many turns each.

        Raises:
            ValueError: there would be none.
        """
        if dialogues < 1 or turns < 1:
            raise ValueError(f"{dialogues} dialogues of {turns} turns are none; draw at least one")
        states = np.empty((dialogues, turns), dtype=np.int64)
        states[:, 0] = _draws(np.tile(self.stationary, (dialogues, 1)), rng)
        for turn in range(1, turns):
            states[:, turn] = _draws(self.transitions[states[:, turn - 1]], rng)
        emotions = states // _COUNT
        cues = np.empty((dialogues, turns, len(CUES)), dtype=np.int64)
        for place, channel in enumerate(self.channels):
            cues[..., place] = _draws(channel.chances()[emotions], rng)
            cues[rng.random(emotions.shape) < channel.missing, place] = MISSING
        return Drawn(emotions, cues)

    def likelihoods(self, cues: _Cues, modalities: Sequence[str] = CUES) -> DrawnArray:
        """Chances (..., 4) of cues (..., 3) given each emotion, of these modalities alone.

        Raises:
            ValueError: a modality that does not exist.
        """
        if unknown := set(modalities) - set(CUES):
            raise ValueError(f"no modality {min(unknown)!r}; there are {', '.join(CUES)}")
        product = np.ones((*cues.shape[:-1], _COUNT))
        for place, (name, channel) in enumerate(zip(CUES, self.channels, strict=True)):
            if name in modalities:
                table = np.concatenate((channel.chances().T, np.ones((1, _COUNT))))  # missing last
                product *= table[cues[..., place]]
        return product

    def posteriors(
        self, cues: _Cues, look_ahead: str = "full", modalities: Sequence[str] = CUES
    ) -> DrawnArray:
        """Exact chances (N, T, 4) of each emotion given cues (N, T, 3).

        Args:
            look_ahead: one of ``CEILING_LOOK_AHEADS``, or any number of later turns.

        Raises:
            ValueError: no such look-ahead or modality.
        """
        seen = self.likelihoods(cues, modalities)
        if look_ahead == "none":
            return _normalised(self.prior * seen)
        of_states = np.repeat(seen, _COUNT, axis=-1)  # who listens shows nothing
        known = smoothed(self.stationary, self.transitions, of_states, look_ahead)
        return np.asarray(known.reshape(*seen.shape, _COUNT).sum(axis=-1))

    def first_order(
        self, cues: _Cues, look_ahead: str = "full", modalities: Sequence[str] = CUES
    ) -> DrawnArray:
        """Chances (N, T, 4) as ``posteriors``, but as if the emotions were a first-order chain."""
        return smoothed(self.prior, self.bigram, self.likelihoods(cues, modalities), look_ahead)


def smoothed(
    start: DrawnArray, follow: DrawnArray, likelihoods: DrawnArray, look_ahead: str
) -> DrawnArray:
    """Posterior (N, T, S) of the states of a Markov chain, by fixed-lag forward-backward.

    The backward pass is run for all turns at once, one later turn at a time.

    Args:
        start: chances (S,) of the first state.
        follow: chances (S, S) of a state (column) after a state (row).
        likelihoods: (N, T, S), of what was observed at each turn, given each state.
        look_ahead: ``causal``, ``full``, or a number of later turns.

    Raises:
        ValueError: no such look-ahead.
    """
    turns = likelihoods.shape[1]
    forward = np.empty_like(likelihoods)
    for turn in range(turns):
        before = forward[:, turn - 1] @ follow if turn else start
        forward[:, turn] = _normalised(before * likelihoods[:, turn])
    backward = np.ones_like(likelihoods)
    for _ in range(min(_later_turns(look_ahead, turns), turns - 1)):
        backward[:, :-1] = _normalised((likelihoods[:, 1:] * backward[:, 1:]) @ follow.T)
        backward[:, -1] = 1.0
    return _normalised(forward * backward)


def _later_turns(look_ahead: str, turns: int) -> int:
    named = {"causal": 0, "full": turns}
    if look_ahead not in named and not look_ahead.isdecimal():
        raise ValueError(
            f"no look-ahead {look_ahead!r}; use none, causal, full or a number of later turns"
        )
    return named[look_ahead] if look_ahead in named else int(look_ahead)


def _normalised(weights: DrawnArray) -> DrawnArray:
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _draws(chances: DrawnArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw an index for each row of chances (..., S)."""
    edges = chances.cumsum(axis=-1)[..., :-1]
    return np.asarray((rng.random(chances.shape[:-1])[..., None] >= edges).sum(axis=-1))
