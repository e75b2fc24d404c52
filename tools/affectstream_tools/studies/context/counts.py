"""What a context network says of held-out dialogues, as counts that add up over folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_models.context.batches import collate
from affectstream_models.context.network import CONTEXT_CLASS_COUNT, SCALES, ContextNetwork
from affectstream_models.context.offline import dialogue_outputs
from affectstream_models.context.scores import mean_step_scores
from affectstream_tools.evaluate.dialogue_scores import LOOK_AHEADS
from affectstream_tools.metrics import confusion
from affectstream_tools.train.targets import Fitted, PreparedDialogue, level_of

SCORED_PARTS = ("all", "improvised")

_Table = NDArray[np.int64]


def look_ahead_name(look_ahead: int | None) -> str:
    """Return ``causal``, a number, or ``full``."""
    return {0: "causal", None: "full"}.get(look_ahead, str(look_ahead))


@dataclass(slots=True)
class Counts:
    """Confusion counts (C, C), true class by row, and the sums that a concordance is computed of.

    Attributes:
        tables: (look-ahead, part, task) -> counts; tasks are ``emotion``, the scales' levels and
            ``clusters-k``.
        moments: (look-ahead, part, scale) -> (n, sums of x, y, x^2, y^2, x y), x the ratings.
    """

    tables: dict[tuple[str, str, str], _Table] = field(default_factory=dict)
    moments: dict[tuple[str, str, str], NDArray[np.float64]] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add what was counted elsewhere."""
        for key, table in other.tables.items():
            self.tables[key] = self.tables[key] + table if key in self.tables else table
        for key, sums in other.moments.items():
            self.moments[key] = self.moments[key] + sums if key in self.moments else sums

    def reordered(self, orders: Mapping[str, NDArray[np.intp]]) -> Counts:
        """Return the counts with the classes of some tasks in another order."""
        tables = {
            key: table[np.ix_(orders[key[2]], orders[key[2]])] if key[2] in orders else table
            for key, table in self.tables.items()
        }
        return Counts(tables, dict(self.moments))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: look-ahead -> part -> task -> counts, and the moments."""
        plain: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
        for (look_ahead, part, task), table in self.tables.items():
            plain[look_ahead][part][task] = table.tolist()
        for (look_ahead, part, scale), sums in self.moments.items():
            plain[look_ahead][part][f"{scale} moments"] = sums.tolist()
        return {name: dict(parts) for name, parts in plain.items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Counts:
        """Return the counts that ``to_dict`` described."""
        counts = cls()
        for look_ahead, parts in plain.items():
            for part, tasks in parts.items():
                for task, values in tasks.items():
                    scale, moments, _ = task.partition(" moments")
                    key = (look_ahead, part, scale)
                    if moments:
                        counts.moments[key] = np.array(values, dtype=np.float64)
                    else:
                        counts.tables[key] = np.array(values, dtype=np.int64)
        return counts

    def concordance(self, look_ahead: str, part: str, scale: str) -> float:
        """Return Lin's coefficient of a scale's estimated means and its ratings."""
        n, x, y, xx, yy, xy = self.moments[look_ahead, part, scale]
        spread = xx / n - (x / n) ** 2 + yy / n - (y / n) ** 2 + (x / n - y / n) ** 2
        return float(2 * (xy / n - x * y / n**2) / spread) if spread else 0.0


def count_offline(
    network: ContextNetwork,
    fitted: Fitted,
    dialogues: Sequence[CorpusDialogue],
    look_aheads: Sequence[int | None] | None = None,
) -> Counts:
    """Count whole dialogues at every look-ahead."""
    encoder, counts = fitted.text_encoder(), Counts()
    for dialogue in dialogues:
        prepared = fitted.prepare(dialogue, encoder)
        for look_ahead in LOOK_AHEADS if look_aheads is None else look_aheads:
            counts.add(_count(network, prepared, look_ahead, improvised=dialogue.improvised))
    return counts


def _count(
    network: ContextNetwork, dialogue: PreparedDialogue, look_ahead: int | None, *, improvised: bool
) -> Counts:
    batch = collate(dialogue.acoustic[0], [one[0] for one in dialogue.text])
    with torch.inference_mode():
        outputs = dialogue_outputs(network, [batch], dialogue.speakers, look_ahead)
        classes, means, levels, clusters = mean_step_scores(
            outputs, 1.0, len(dialogue.speakers), network.config.clusters
        )
    four = np.where(dialogue.emotion < CONTEXT_CLASS_COUNT, dialogue.emotion, -1)
    asked = {"emotion": (four, classes)}
    truth = level_of(torch.from_numpy(dialogue.scales)).numpy()
    rated = np.isfinite(dialogue.scales).all(axis=1)
    for place, scale in enumerate(SCALES):
        asked[scale] = (np.where(rated, truth[:, place], -1), levels[:, place])
    for place, (size, scores) in enumerate(clusters.items()):
        asked[f"clusters-{size}"] = (dialogue.clusters[:, place], scores)
    counts, name = Counts(), look_ahead_name(look_ahead)
    for part in SCORED_PARTS if improvised else SCORED_PARTS[:1]:
        for task, (true, scores) in asked.items():
            known = true >= 0
            found = scores.argmax(dim=1).numpy()
            counts.tables[name, part, task] = confusion(true[known], found[known], scores.shape[1])
        for place, scale in enumerate(SCALES):
            x = dialogue.scales[rated, place].astype(np.float64)
            y = means[:, place].numpy()[rated].astype(np.float64)
            sums = (len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())
            counts.moments[name, part, scale] = np.array(sums)
    return counts
