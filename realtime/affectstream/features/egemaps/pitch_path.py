"""The pitch of each frame: the cheapest path through the frames' candidates (Viterbi).

Knows: what it costs to take a candidate, and to go from one frame's to the next's.
Refuses to know: how the candidates were found (``subharmonics``), and what the pitch is used for.

The weights are those of eGeMAPS v01b. How they enter was measured on the reference (openSMILE) with
made-up candidates, one weight at a time. Two costs differ from what their names say, and are kept
so that the results agree: staying unvoiced costs 1 a frame; and a step from a candidate that is not
the best of its frame also costs its distance to the candidate that ranks before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps.subharmonics import (
    SUBHARMONIC_CANDIDATES,
    SubharmonicCandidates,
)

_Floats = NDArray[np.float32]

LAG_FRAMES = 20
"""A frame's pitch is decided when this many frames after it are known. (The reference waits for 40;
on 209 s of acted speech, 10 already gave every frame the same pitch.)"""

DECIDE_FRAMES = 20
"""Decisions are taken whenever the count of frames is a multiple of this."""

_VOICED_FROM = 0.7  # least voicing of a candidate that counts as a voice
_LOCAL, _THRESHOLD = 2.0, 4.0  # weights of a candidate's own costs
_STEP, _CHANGE, _SWITCH, _UNVOICED = 10.0, 10.0, 10.0, 1.0  # weights of going from state to state
_NEVER = 1e9
_SILENT = [0]  # predecessors of a frame without candidates, after another such frame


def _out_of_range(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the costs of pitches: more than 0 below 100 Hz and above 350 Hz, rare in speech."""
    high = np.where(hz > 600, 1.2, (hz - 350) / 250)
    return np.asarray(np.maximum(0, np.maximum((100 - hz) / 100, high)))


class SubharmonicPitchPath:
    """Chooses one candidate or none for each frame of a stream, with a bounded delay.

    Decisions are taken whenever the count of frames is a multiple of ``DECIDE_FRAMES``, for all
    frames that ``LAG_FRAMES`` others have followed, by the best path that ends at the last frame.
    Its state is the undecided frames.
    """

    def __init__(self) -> None:
        self._count = 0
        self._cost = np.zeros(SUBHARMONIC_CANDIDATES + 1)
        self._last = np.zeros(SUBHARMONIC_CANDIDATES)  # logarithms of the last frame's pitches
        self._silent = False  # had the last frame no candidate?
        self._back: list[list[int]] = []
        self._hz: list[list[float]] = []

    def push(self, candidates: SubharmonicCandidates) -> _Floats:
        """Take n frames; return the pitches in Hz, (m,), of those decided now. 0 is unvoiced."""
        decided: list[float] = []
        costs = iter(self._costs(candidates))
        total = np.empty((SUBHARMONIC_CANDIDATES + 1, SUBHARMONIC_CANDIDATES + 1))
        for voice in (candidates.hz[:, 0] > 0).tolist():
            if voice:
                self._silent = False
                np.add(next(costs), self._cost, out=total)
                self._back.append(total.argmin(axis=1).tolist())
                self._cost = np.minimum.reduce(total, 1)
            else:
                self._stay_unvoiced()
            self._count += 1
            if self._count % DECIDE_FRAMES == 0:
                self._cost -= self._cost.min()
                decided += self._decide(len(self._back) - LAG_FRAMES)
        return np.array(decided, dtype=np.float32)

    def finish(self) -> _Floats:
        """Return the pitches, (k,), of the frames that were not decided yet."""
        return np.array(self._decide(len(self._back)), dtype=np.float32)

    def _costs(self, candidates: SubharmonicCandidates) -> NDArray[np.float64]:
        """Return what it costs to go to each state (rows) from each (columns), (m, 7, 7).

        State 0 is unvoiced, the others are the candidates. Only the m frames that have a candidate
        are in it.
        """
        self._hz += [[0.0, *row] for row in candidates.hz.tolist()]
        some: NDArray[np.bool_] = candidates.hz[:, 0] > 0
        hz = candidates.hz[some].astype(np.float64)
        voicing = np.maximum(candidates.voicing[some], 1e-10).astype(np.float64)
        weak = voicing < _VOICED_FROM
        local = _LOCAL * (_THRESHOLD * weak - np.log(voicing)) + _out_of_range(hz)
        pitch = np.zeros((len(some) + 1, SUBHARMONIC_CANDIDATES))
        pitch[0] = self._last
        pitch[1:][some] = np.log(np.where(hz > 0, hz, 1.0))
        self._last = pitch[-1]
        cost = np.empty((len(hz), SUBHARMONIC_CANDIDATES + 1, SUBHARMONIC_CANDIDATES + 1))
        step = pitch[1:][some][:, :, None] - pitch[:-1][some][:, None, :]
        change = step.copy()
        change[:, :, 1:] -= step[:, :, :-1]
        cost[:, 1:, 1:] = _STEP * np.abs(step) + _CHANGE * np.abs(change)
        cost[:, 0, 1:] = cost[:, 1:, 0] = _SWITCH
        cost[:, 0, 0] = _UNVOICED
        cost[:, 1:] += np.where(hz > 0, local, _NEVER)[:, :, None]
        cost[:, 0] += np.where(np.all(weak, axis=1), 0.0, _LOCAL * _THRESHOLD)[:, None]
        if not self._count and len(some) and some[0]:
            cost[0, 0] -= _UNVOICED
            cost[0, 1:] -= _SWITCH
            cost[0] = cost[0, :, :1]  # the first frame has no predecessor
        return cost

    def _stay_unvoiced(self) -> None:
        """Extend the paths by a frame that has no candidate."""
        if self._silent:
            self._back.append(_SILENT)
            self._cost[0] += _UNVOICED
            return
        self._silent = True
        stay, *others = self._cost.tolist()
        if self._count:
            stay += _UNVOICED
        leave = min(others)
        self._back.append([0 if stay <= leave + _SWITCH else 1 + others.index(leave)])
        self._cost[1:] = _NEVER
        self._cost[0] = min(stay, leave + _SWITCH)

    def _decide(self, count: int) -> list[float]:
        """Return the pitches of the oldest ``count`` frames on the best path, and forget them."""
        if count <= 0:
            return []
        state = int(self._cost.argmin())
        path = []
        for back in reversed(self._back):
            path.append(state)
            state = back[state]
        path.reverse()
        decided = [hz[s] for hz, s in zip(self._hz[:count], path[:count], strict=True)]
        del self._back[:count], self._hz[:count]
        return decided
