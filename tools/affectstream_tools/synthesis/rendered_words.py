"""Sentences that show a cue: three of the cue's own words among others that say nothing."""

from __future__ import annotations

import numpy as np

_OWN = (
    "hate stop angry blame wrong shut sick damn hell stupid fault liar ridiculous furious",
    "great love happy fun beautiful excited best married wonderful glad amazing laugh yay",
    "form office number paper street car bank phone table line file week building desk",
    "miss lost alone sad died hurt gone poor hospital cry sorry tears lonely grief",
)
_ANYBODYS = (
    "well you know i think that it is the and so we have to go there now just really "
    "what do with this about then they was for me a"
)
CUE_WORDS = tuple(tuple(words.split()) for words in _OWN)
"""In the order of the emotions; no word shows two cues."""

_COMMON = 7
"""The first so many words of each cue are in every table of word vectors; some others are rare."""

FILLERS = tuple(_ANYBODYS.split())
"""Words that are said with every cue alike."""


def render_words(cue: int, rng: np.random.Generator) -> str:
    """Return a sentence that shows ``cue``, 0..3."""
    common, rare = CUE_WORDS[cue][:_COMMON], CUE_WORDS[cue][_COMMON:]
    own = [*rng.choice(common, 2, replace=False), rng.choice(rare)]
    others = rng.choice(FILLERS, int(rng.integers(2, 6)))
    words = [str(word) for word in rng.permutation([*own, *others])]
    return " ".join(words).capitalize() + "."
