"""Training of the context model's networks by one recipe.

A recipe holds all that is chosen before training. Nothing that is held out is passed in here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_models.context.batches import collate
from affectstream_models.context.network import (
    CONTEXT_CLASS_COUNT,
    ContextConfig,
    ContextMember,
    ContextNetwork,
)
from affectstream_models.context.offline import dialogue_outputs
from affectstream_models.text.sentence_encoder import SentenceEncoder
from affectstream_tools.corpora.sentences import Sentence
from affectstream_tools.train.member import train_member
from affectstream_tools.train.schedule import MemberSchedule
from affectstream_tools.train.targets import (
    NO_AUGMENTATION,
    Augmentation,
    Fitted,
    PreparedDialogue,
    fit,
)
from affectstream_tools.train.word_encoder import TextSchedule, train_text

_Progress = Callable[[str, int, float], None]
"""Called after each epoch with what is being trained, the epoch and the mean loss."""


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Everything that is chosen before training; the seed is not part of it.

    Attributes:
        sizes: sizes and dropouts that differ from the defaults of ``ContextConfig``.
        least_ngrams: in how many training utterances an n-gram must occur to be known.
        speaker_prior: see ``SpeakerNormaliser``.
        text: how text encoders are trained on sentences first, and then no more. None trains
            them with the rest, on what is said in the dialogues.
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
        """Return the recipe without one of the other corpora's dialogues.

        Raises:
            ValueError: the recipe has no such corpus.
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
        sentences: what text encoders are trained on first, where the recipe says so.
        sentence_encoder: reads whole sentences, where the recipe's networks take their vectors.
    """

    dialogues: Sequence[CorpusDialogue]
    vectors: Mapping[str, Sequence[float]]
    others: Sequence[CorpusDialogue] = ()
    sentences: Sequence[Sentence] = ()
    sentence_encoder: SentenceEncoder | None = None


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
        network = self._blank(fitted)
        for number, member in enumerate(network.networks()):
            seed, label = self.seed + 1000 * number, f"{name}, network {number + 1}"
            _begin(member, network.config, seed)
            if recipe.text is not None:
                self._give_words(member, fitted, number, seed)
            step = partial(self._progress, label)
            train_member(member, prepared, recipe.schedule, seed, progress=step)
        return network.eval(), fitted

    def _blank(self, fitted: Fitted) -> ContextNetwork:
        """Return a network with the fold's tables, before its members' first weights."""
        config = ContextConfig(
            ngrams=len(fitted.ngram_hashes),
            words=len(fitted.word_hashes),
            word_dim=fitted.vectors.shape[1],
            members=self.recipe.members,
            **self.recipe.sizes,
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
        return network

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
    """Give a network its first weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member.load_state_dict(ContextMember(config).state_dict())


def class_outputs(
    network: ContextNetwork, dialogues: Sequence[PreparedDialogue], look_ahead: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return raw class outputs (M, S, 4) and labels (S,) of utterances of one of the classes."""
    outputs, labels = [], []
    for dialogue in dialogues:
        batch = collate(dialogue.acoustic[0], [one[0] for one in dialogue.text])
        with torch.inference_mode():
            raw = dialogue_outputs(network, [batch], dialogue.speakers, look_ahead)
        scored = (dialogue.emotion >= 0) & (dialogue.emotion < CONTEXT_CLASS_COUNT)
        outputs.append(raw.numpy()[:, scored, :CONTEXT_CLASS_COUNT])
        labels.append(dialogue.emotion[scored])
    return np.concatenate(outputs, axis=1), np.concatenate(labels)
