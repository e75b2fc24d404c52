"""From corpora to a checkpoint: development folds, calibration, the last training, the file.

Nothing that is held out is looked at: the temperature and the threshold of doubt come from folds of
the dialogues that are learned from. The numbers of the recipes are in ``recipes``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream_models.context.checkpoints import save_context_model
from affectstream_tools.corpora.splits import Split, hold_out_session
from affectstream_tools.metrics import score_labels
from affectstream_tools.train.calibration import fit_doubt, fit_temperature, probabilities
from affectstream_tools.train.trainer import Trainer, class_outputs

Folds = Callable[[Sequence[CorpusDialogue]], Sequence[Split]]
"""From the dialogues that may be learned from to the folds that development trains and scores."""


@dataclass(frozen=True, slots=True)
class Development:
    """What training without each fold has found.

    Attributes:
        scores: by corpus and look-ahead, such as ``uar_iemocap_8``.
    """

    temperature: float
    sure_above: float
    scores: dict[str, float]


def develop(trainer: Trainer, folds: Sequence[Split]) -> Development:
    """Train without each fold and score it; calibrate on all folds' answers.

    The other corpora's speakers with sound are shared out too: fold i of n is scored on every n-th
    of them, and does not learn from those.
    """
    recipe = trainer.recipe
    heard = sorted({u.speaker for d in trainer.sources.others for u in d.utterances if _heard(u)})
    found: dict[tuple[str, int], list[tuple[NDArray[np.float32], NDArray[np.int64]]]] = {}
    for number, split in enumerate(folds):
        left_out = heard[number :: len(folds)]
        network, fitted = trainer.train(split.train, without=left_out, name=split.name)
        encoder = fitted.text_encoder()
        apart = _once([d for d in trainer.sources.others if d.utterances[0].speaker in left_out])
        for corpus, dialogues in (("iemocap", split.test), ("acted", apart)):
            prepared = [fitted.prepare(dialogue, encoder) for dialogue in dialogues]
            for look_ahead in (0, recipe.look_ahead) if prepared else ():
                answers = class_outputs(network, prepared, look_ahead)
                found.setdefault((corpus, look_ahead), []).append(answers)
    pooled = {
        key: (np.concatenate([o for o, _ in parts], axis=1), np.concatenate([y for _, y in parts]))
        for key, parts in found.items()
    }
    last = [pooled[key] for key in pooled if key[1] == recipe.look_ahead]
    outputs = np.concatenate([o for o, _ in last], axis=1)
    labels = np.concatenate([y for _, y in last])
    temperature = fit_temperature(outputs, labels)
    sure_above, sure = 0.0, 1.0
    if recipe.sure_accuracy:
        sure_above, sure = fit_doubt(
            probabilities(outputs, temperature), labels, recipe.sure_accuracy
        )
    scores = {"sure": round(sure, 3)}
    for (corpus, look_ahead), (some, truth) in sorted(pooled.items()):
        result = score_labels(truth, probabilities(some, temperature))
        scores[f"uar_{corpus}_{look_ahead}"] = round(result.uar, 4)
        scores[f"ece_{corpus}_{look_ahead}"] = round(result.ece, 4)
    return Development(temperature, sure_above, scores)


def _heard(utterance: CorpusUtterance) -> bool:
    return utterance.acoustic is not None


def _once(dialogues: Sequence[CorpusDialogue]) -> list[CorpusDialogue]:
    """Return one dialogue per speaker: the others hold the same clips in another order."""
    return list({d.utterances[0].speaker: d for d in reversed(dialogues)}.values())


def train_checkpoint(
    trainer: Trainer, path: Path, *, name: str, test_session: int, folds: Folds
) -> dict[str, Any]:
    """Train on all sessions but one and write the checkpoint.

    Returns:
        What was done, as it is written into the checkpoint, and the file's ``sha256``.
    """
    recipe, sources = trainer.recipe, trainer.sources
    train = hold_out_session(sources.dialogues, test_session).train
    development = develop(trainer, folds(train))
    network, _ = trainer.train(train)
    network.temperature.fill_(development.temperature)
    acted = {u.speaker for d in sources.others for u in d.utterances if _heard(u)}
    speakers = {f"iemocap/{u.speaker}" for d in train for u in d.utterances} | acted
    trained = {
        "test_session": test_session,
        "dialogues": len(train),
        "utterances": sum(len(dialogue.utterances) for dialogue in train),
        "other_dialogues": len(sources.others),
        "sentences": len(sources.sentences),
        "seed": trainer.seed,
        "recipe": recipe.to_dict(),
        "development": development.scores,
        "temperature": round(development.temperature, 4),
    }
    sha256 = save_context_model(
        network,
        path,
        id=name,
        look_ahead=recipe.look_ahead,
        speaker_prior=recipe.speaker_prior,
        sure_above=development.sure_above,
        trained_speakers=sorted(speakers),
        trained=json.loads(json.dumps(trained)),
    )
    return {**trained, "sure_above": development.sure_above, "sha256": sha256}
