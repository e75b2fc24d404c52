"""Networks trained on drawn dialogues: those of Woellmer et al. (2010), and the context model.

Knows: rows of dialogues, labels, and the course of training.
Refuses to know: how dialogues were drawn, and what the best would be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from affectstream_models.woellmer import DialogueBlstm, DialogueLstm
from affectstream_tools.context_checkpoint import Recipe, Sources, Trainer, class_outputs
from affectstream_tools.optimisation import Optimisation
from affectstream_tools.synthesis.dialogue_model import Drawn, Floats
from affectstream_tools.synthesis.direct import corpus_dialogues, word_vectors
from affectstream_tools.train_context import Schedule

_UTTERANCES_PER_STEP = 500
_LEARNING_RATE = 4e-3
_CLASSES = 4

# What keeps the shipped models from learning a small corpus by heart is not needed here.
_SIZES = {"input_dropout": 0.0, "output_dropout": 0.1, "hidden_dim": 64}
_SCHEDULE = Schedule(modality_dropout=0.0, crop=0.0, ngram_dropout=0.1, label_smoothing=0.0)

_LOOK_AHEADS = {"causal": 0, "1": 1, "2": 2, "4": 4, "8": 8, "full": None}


def network_scores(
    learned: Floats,
    labels: NDArray[np.int64],
    scored: Floats,
    *,
    bidirectional: bool,
    epochs: int,
    seed: int,
) -> NDArray[np.float32]:
    """Train an LSTM or BLSTM as in the paper, 128 cells and noise 0.6; return logits (N, T, 4).

    Args:
        learned, scored: (M, T, D) and (N, T, D), of mean 0 and deviation 1.
        labels: (M, T).
    """
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = DialogueBlstm if bidirectional else DialogueLstm
        network = kind(learned.shape[2], _CLASSES)
        batch = max(1, _UTTERANCES_PER_STEP // learned.shape[1])
        _train(network, learned, labels, batch, epochs)
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(scored.astype(np.float32)), batch)
        found: NDArray[np.float32] = torch.cat([network(part) for part in parts]).numpy()
    return found


def _train(
    network: DialogueLstm, learned: Floats, labels: NDArray[np.int64], batch: int, epochs: int
) -> None:
    inputs = torch.from_numpy(learned.astype(np.float32))
    targets = torch.from_numpy(labels)
    course = Optimisation(
        network,
        learning_rate=_LEARNING_RATE,
        weight_decay=1e-2,
        epochs=epochs,
        steps=-(-len(inputs) // batch),
        average_from=0.6,
        most_gradient=1.0,
    )
    network.train()
    for epoch in range(epochs):
        for chosen in torch.split(torch.randperm(len(inputs)), batch):
            logits = network(inputs[chosen])  # (B, T, 4)
            course.step(functional.cross_entropy(logits.flatten(0, 1), targets[chosen].flatten()))
        course.end_epoch(epoch)
    course.finish()


def context_scores(
    learned: Drawn, scored: Drawn, *, epochs: int, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Train a context model on voices and words; return outputs (N, T, 4) by look-ahead."""
    torch.set_num_threads(1)
    rng = np.random.default_rng((seed, 3))
    known, unknown = corpus_dialogues(learned, rng), corpus_dialogues(scored, rng)
    recipe = Recipe(schedule=replace(_SCHEDULE, epochs=epochs), sizes=_SIZES, members=1)
    network, fitted = Trainer(Sources(known, word_vectors()), recipe, seed).train(known)
    encoder = fitted.text_encoder()
    prepared = [fitted.prepare(dialogue, encoder) for dialogue in unknown]
    return {
        name: class_outputs(network, prepared, later)[0][0].reshape(
            *scored.emotions.shape, _CLASSES
        )
        for name, later in _LOOK_AHEADS.items()
    }
