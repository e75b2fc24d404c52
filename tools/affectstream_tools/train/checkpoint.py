"""From corpora to a checkpoint: tables, text encoders, members, calibration.

Knows: the order of things, and that nothing held out is looked at: sizes, epochs, temperature and
the threshold of doubt come from folds of the dialogues that are learned from.
Refuses to know: the command line, and the numbers of a recipe (``recipes``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream_models.context.batches import collate
from affectstream_models.context.checkpoints import save_context_model
from affectstream_models.context.network import (
    CONTEXT_CLASS_COUNT,
    ContextConfig,
    ContextMember,
    ContextNetwork,
)
from affectstream_models.context.offline import dialogue_outputs
from affectstream_models.text.sentence_encoder import SentenceEncoder
from affectstream_tools.corpora.splits import Split, hold_out_session
from affectstream_tools.metrics import score_labels
from affectstream_tools.train.calibration import fit_doubt, fit_temperature, probabilities
from affectstream_tools.train.member import MemberSchedule, train_member
from affectstream_tools.train.targets import (
    NO_AUGMENTATION,
    Augmentation,
    Fitted,
    PreparedDialogue,
    fit,
)
from affectstream_tools.train.word_encoder import (
    SENTENCE_EMOTIONS,
    UNKNOWN,
    Sentence,
    TextSchedule,
    train_text,
)

Vectors = Mapping[str, Sequence[float]]
_Progress = Callable[[str, int, float], None]
"""Called after each epoch with what is being trained, the epoch and the mean loss."""

Folds = Callable[[Sequence[CorpusDialogue]], Sequence[Split]]
"""The folds of which development is made, from the dialogues that may be learned from."""


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Everything that is chosen before training; the seed is not part of it.

    Attributes:
        sizes: sizes and dropouts that differ from the defaults of ``ContextConfig``.
        least_ngrams: in how many training utterances an n-gram must occur to be known.
        speaker_prior: see ``ContextModel``.
        text: how text encoders are trained on sentences beforehand, and then left alone; None
            trains them with the rest, on what is said in the dialogues.
        sure_accuracy: how often an estimate that is called sure is to be right.
    """

    schedule: MemberSchedule = field(default_factory=MemberSchedule)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    members: int = 3
    least_ngrams: int = 2
    look_ahead: int = 8
    speaker_prior: float = float("inf")
    augmentation: Augmentation = NO_AUGMENTATION
    text: TextSchedule | None = None
    sure_accuracy: float = 0.0

    def without(self, corpus: str) -> TrainingRecipe:
        """The recipe without one of the other corpora's dialogues.

        Raises:
            ValueError: it does without that corpus already.
        """
        if corpus not in self.schedule.parts:
            known = ", ".join(sorted(self.schedule.parts)) or "no other corpus"
            raise ValueError(f"the recipe has no corpus {corpus!r} to leave out; it has {known}")
        parts = {name: part for name, part in self.schedule.parts.items() if name != corpus}
        return replace(self, schedule=replace(self.schedule, parts=parts))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint's metadata."""
        schedule = replace(self.schedule, parts={})
        parts = {name: asdict(part) for name, part in self.schedule.parts.items()}
        plain = asdict(replace(self, sizes=dict(self.sizes), schedule=schedule))
        plain["schedule"]["parts"] = parts
        plain["speaker_prior"] = str(self.speaker_prior)
        found: dict[str, Any] = json.loads(json.dumps(plain))
        return found


@dataclass(frozen=True, slots=True)
class Sources:
    """What is learned from.

    Attributes:
        dialogues: IEMOCAP's; of these some are held out.
        others: other corpora's dialogues (session 0).
        sentences: what text encoders are trained on, where the recipe trains them beforehand.
        sentence_encoder: what reads whole sentences, where the recipe's networks do.
    """

    dialogues: Sequence[CorpusDialogue]
    vectors: Vectors
    others: Sequence[CorpusDialogue] = ()
    sentences: Sequence[Sentence] = ()
    sentence_encoder: SentenceEncoder | None = None


def sentences_of(dialogues: Sequence[CorpusDialogue]) -> list[Sentence]:
    """What is said in dialogues, one by one."""
    return [
        Sentence(
            u.text,
            SENTENCE_EMOTIONS.index(u.emotion) if u.emotion in SENTENCE_EMOTIONS else UNKNOWN,
        )
        for dialogue in dialogues
        for u in dialogue.utterances
        if u.text
    ]


class Trainer:
    """Trains networks of one recipe; text encoders are trained once for all of them."""

    def __init__(
        self,
        sources: Sources,
        recipe: TrainingRecipe,
        seed: int,
        progress: _Progress = lambda name, epoch, loss: None,
    ) -> None:
        self.sources, self.recipe, self.seed = sources, recipe, seed
        self._progress = progress
        self._texts: dict[int, dict[str, torch.Tensor]] = {}

    def train(
        self, dialogues: Sequence[CorpusDialogue], *, without: Sequence[str] = (), name: str = "all"
    ) -> tuple[ContextNetwork, Fitted]:
        """Fit the tables and train every member on ``dialogues`` and on the other corpora.

        Args:
            without: speakers of the other corpora who are left out.
        """
        recipe = self.recipe
        others = [d for d in self.sources.others if d.utterances[0].speaker not in without]
        known = [*dialogues, *others]
        texts = None if recipe.text is None else [s.text for s in self.sources.sentences]
        fitted = fit(
            known,
            self.sources.vectors,
            texts=texts,
            least_ngrams=recipe.least_ngrams,
            speaker_prior=recipe.speaker_prior,
            sentences=self.sources.sentence_encoder,
            clusters=recipe.sizes.get("clusters", ()),
        )
        encoder = fitted.text_encoder()
        prepared = [fitted.prepare(d, encoder, recipe.augmentation, self.seed) for d in known]
        config = ContextConfig(
            ngrams=len(fitted.ngram_hashes),
            words=len(fitted.word_hashes),
            word_dim=fitted.vectors.shape[1],
            members=recipe.members,
            **recipe.sizes,
        )
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = ContextNetwork(config)
        network.set_tables(
            fitted.ngram_hashes,
            fitted.word_hashes,
            fitted.vectors,
            fitted.acoustic_mean,
            fitted.acoustic_sd,
        )
        network.cluster_centres.copy_(torch.from_numpy(fitted.cluster_centres()))
        for number, member in enumerate(network.networks()):
            seed, label = self.seed + 1000 * number, f"{name}, network {number + 1}"
            _begin(member, config, seed)
            if recipe.text is not None:
                self._give_words(member, fitted, number, seed)
            step = partial(self._progress, label)
            train_member(member, prepared, recipe.schedule, seed, progress=step)
        return network.eval(), fitted

    def _give_words(self, member: ContextMember, fitted: Fitted, number: int, seed: int) -> None:
        """Train the member's text encoder, or take the one trained before; then freeze it."""
        recipe, sentences = self.recipe, self.sources.sentences
        assert recipe.text is not None
        if number not in self._texts:
            encoder, rng = fitted.text_encoder(), np.random.default_rng(seed)
            features = [
                fitted.alternatives(s.text, encoder, recipe.augmentation, rng) for s in sentences
            ]
            step = partial(self._progress, f"words, network {number + 1}")
            train_text(member, sentences, features, recipe.text, seed, progress=step)
            state = {n: t.clone() for n, t in member.state_dict().items() if _is_text(n)}
            self._texts[number] = state
        member.load_state_dict(self._texts[number], strict=False)
        for name, parameter in member.named_parameters():
            if _is_text(name):
                parameter.requires_grad_(False)


def _is_text(name: str) -> bool:
    return name.startswith(("ngram_table.", "text_encoder."))


def _begin(member: ContextMember, config: ContextConfig, seed: int) -> None:
    """Give the member its first weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member.load_state_dict(ContextMember(config).state_dict())


def class_outputs(
    network: ContextNetwork, dialogues: Sequence[PreparedDialogue], look_ahead: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Raw class outputs (M, S, 4) and labels (S,) of the utterances with one of the classes."""
    outputs, labels = [], []
    for dialogue in dialogues:
        batch = collate(dialogue.acoustic[0], [one[0] for one in dialogue.text])
        with torch.inference_mode():
            raw = dialogue_outputs(network, [batch], dialogue.speakers, look_ahead)
        scored = (dialogue.emotion >= 0) & (dialogue.emotion < CONTEXT_CLASS_COUNT)
        outputs.append(raw.numpy()[:, scored, :CONTEXT_CLASS_COUNT])
        labels.append(dialogue.emotion[scored])
    return np.concatenate(outputs, axis=1), np.concatenate(labels)


@dataclass(frozen=True, slots=True)
class Development:
    """What the folds say of a recipe.

    Attributes:
        scores: by corpus and look-ahead, such as ``uar_iemocap_8``.
    """

    temperature: float
    sure_above: float
    scores: dict[str, float]


def develop(trainer: Trainer, folds: Sequence[Split]) -> Development:
    """Train without each fold and score it; calibrate on all folds' answers.

    The folds also share out the other corpora's speakers who are heard: fold i of n is scored on
    every n-th of them, and does not learn from those.
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
    """One dialogue per speaker: the others hold the same clips in another order."""
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
