"""The project's context model, trained on drawn dialogues: its outputs at each look-ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from affectstream_tools.synthesis.dialogue_model import Drawn
from affectstream_tools.synthesis.features import corpus_dialogues, drawn_word_vectors
from affectstream_tools.train.schedule import MemberSchedule
from affectstream_tools.train.trainer import Sources, Trainer, TrainingRecipe, class_outputs

_CLASSES = 4

# What keeps the shipped models from learning a small corpus by heart is not needed here.
_SIZES = {"input_dropout": 0.0, "output_dropout": 0.1, "hidden_dim": 64}
_SCHEDULE = MemberSchedule(modality_dropout=0.0, crop=0.0, ngram_dropout=0.1, label_smoothing=0.0)

_LOOK_AHEADS = {"causal": 0, "1": 1, "2": 2, "4": 4, "8": 8, "full": None}


def context_scores(
    learned: Drawn, scored: Drawn, *, epochs: int, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Train a context model on voices and words; return outputs (N, T, 4) by look-ahead."""
    torch.set_num_threads(1)
    rng = np.random.default_rng((seed, 3))
    known, unknown = corpus_dialogues(learned, rng), corpus_dialogues(scored, rng)
    recipe = TrainingRecipe(schedule=replace(_SCHEDULE, epochs=epochs), sizes=_SIZES, members=1)
    network, fitted = Trainer(Sources(known, drawn_word_vectors()), recipe, seed).train(known)
    encoder = fitted.text_encoder()
    prepared = [fitted.prepare(dialogue, encoder) for dialogue in unknown]
    return {
        name: class_outputs(network, prepared, later)[0][0].reshape(
            *scored.emotions.shape, _CLASSES
        )
        for name, later in _LOOK_AHEADS.items()
    }
