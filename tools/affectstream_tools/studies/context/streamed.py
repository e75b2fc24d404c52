"""Dialogues streamed through the fusion node, compared with the whole dialogues at once.

Knows: the replay and the node, joined without a network between them.
Refuses to know: how the model was trained, and how the counts are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from affectstream.core.pacing import Pacer
from affectstream.corpus.dialogues import CorpusDialogue
from affectstream.corpus.replay import CorpusReplay
from affectstream.corpus.scoring import LiveScore
from affectstream.corpus.script import derived_script
from affectstream.fusion.node import NODE_PREFIXES, FusionNode
from affectstream.fusion.pretrained import PretrainedModel
from affectstream.messages import Emotion
from affectstream.run.in_process import JoinedMachine, run_together
from affectstream_models.context.model import StreamingContextModel
from affectstream_tools.evaluate.dialogues import inputs_of

_ROWS = {"provisional": "causal", "look-ahead 1": "1", "look-ahead 2": "2", "look-ahead 4": "4"}
_MODALITIES = ("acoustic", "text")


def stream_and_compare(
    model: StreamingContextModel, dialogues: Sequence[CorpusDialogue]
) -> dict[str, Any]:
    """Replay dialogues through a node that waits for the model's look-ahead.

    Returns:
        ``counts``: (4, 4) by look-ahead and part, the last under the look-ahead's number;
        ``revisions`` and ``changes``: estimates after the first of their utterance, and how many
        of them named another class than the one before; ``finals`` and ``final_changes``: the
        same of first against final; ``difference``: the largest of any probability between the
        first estimates and finals and the offline model's with as many later utterances. (A
        first estimate may see one: of two utterances that end at once.)
    """
    said = _streamed(model, dialogues)
    score, labels = LiveScore(), {d.id: {u.id: u for u in d.utterances} for d in dialogues}
    improvised = {d.id: d.improvised for d in dialogues}
    last: dict[tuple[str, str], Emotion] = {}
    first: dict[tuple[str, str], Emotion] = {}
    revisions = changes = 0
    for emotion in said:
        key = (emotion.session, emotion.utterance)
        score.add(emotion, labels[emotion.session][emotion.utterance], improvised[emotion.session])
        if key in last:
            revisions += 1
            changes += last[key].label != emotion.label
        first.setdefault(key, emotion)
        last[key] = emotion
    counts: dict[str, dict[str, Any]] = {}
    for row, name in {**_ROWS, "final": str(model.look_ahead)}.items():
        counts[name] = {
            part: score.row(row, improvised=part == "improvised").counts.tolist()
            for part in ("all", "improvised")
        }
    return {
        "counts": counts,
        "revisions": revisions,
        "changes": changes,
        "finals": len(last),
        "final_changes": sum(first[key].label != last[key].label for key in last),
        "difference": max(
            _difference(model, dialogue, estimates)
            for estimates in (first, last)
            for dialogue in dialogues
        ),
    }


def _streamed(model: StreamingContextModel, dialogues: Sequence[CorpusDialogue]) -> list[Emotion]:
    node = FusionNode(PretrainedModel(model), model.look_ahead)
    heard: list[Emotion] = []
    replay = CorpusReplay(
        (derived_script(dialogue) for dialogue in dialogues),
        Pacer(math.inf),
        lambda message: heard.append(message) if isinstance(message, Emotion) else None,
    )
    parts = [JoinedMachine(replay, CorpusReplay.PREFIXES), JoinedMachine(node, NODE_PREFIXES)]
    for _ in run_together(parts, stopping=lambda: replay.done):
        pass
    return heard


def _difference(
    model: StreamingContextModel,
    dialogue: CorpusDialogue,
    estimates: dict[tuple[str, str], Emotion],
) -> float:
    inputs = inputs_of(model, dialogue.utterances, _MODALITIES)
    streamed = [estimates[dialogue.id, utterance.id] for utterance in dialogue.utterances]
    offline = {
        known: model.offline(inputs, known, influence=False)
        for known in {emotion.look_ahead for emotion in streamed}
    }
    return max(
        float(np.abs(offline[e.look_ahead][place].categorical - [*e.categorical.values()]).max())
        for place, e in enumerate(streamed)
    )
