"""How long and how hard a network of the context model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DialoguePart:
    """How much another corpus counts in training.

    Attributes:
        share: the share of its dialogues that an epoch sees.
        weight: the weight of its utterances in the loss; that of the first corpus's is 1.
    """

    share: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class MemberSchedule:
    """How long and how hard to train one network.

    Attributes:
        resets: chances that the look-ahead ends at an utterance. One of them is drawn for each
            dialogue and step: 0 makes estimates of the whole dialogue, 1 causal ones.
        modality_dropout: chance that an utterance's text is left out; the same for its sound.
        without_text, without_acoustic: chances that a whole dialogue lacks its text or its sound.
        shuffle: chance that a dialogue's utterances come in random order, so that its course
            cannot be learned by heart.
        parts: the other corpora, by name.
        level_balance: exponent of the levels' inverse frequency as their weight in the loss.
        alone: whether each utterance is learned as a dialogue of its own.
    """

    epochs: int = 20
    dialogues_per_step: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    resets: tuple[float, ...] = (0.0, 0.0, 0.0, 0.1, 0.1, 0.3, 1.0)
    modality_dropout: float = 0.1
    without_text: float = 0.0
    without_acoustic: float = 0.0
    mistakes: float = 0.0
    shuffle: float = 0.0
    ngram_dropout: float = 0.3
    noise_sd: float = 0.2
    crop: float = 0.5
    label_smoothing: float = 0.1
    scale_weight: float = 0.3
    level_weight: float = 0.2
    level_balance: float = 0.0
    cluster_weight: float = 0.1
    average_from: float = 0.6
    parts: Mapping[str, DialoguePart] = field(default_factory=dict)
    alone: bool = False
