"""Dialogues streamed through the fusion node, compared with the whole dialogues at once.

The replay and the node run in this process, with no sockets between them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
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
from affectstream.run.virtual_time import JoinedMachine, run_in_virtual_time
from affectstream_models.context.model import StreamingContextModel
from affectstream_models.context.values import CONTEXT_MODALITIES
from affectstream_tools.evaluate.dialogue_scores import inputs_of
from affectstream_tools.studies.context.counts import SCORED_PARTS

_ROWS = {"provisional": "causal", "look-ahead 1": "1", "look-ahead 2": "2", "look-ahead 4": "4"}


def stream_and_compare(
    model: StreamingContextModel, dialogues: Sequence[CorpusDialogue]
) -> dict[str, Any]:
    """Replay dialogues through a node that waits for the model's look-ahead.

    Returns:
        ``counts``: confusion counts (4, 4) by look-ahead and part; the finals' are under the
        model's look-ahead. ``revisions``: estimates after the first of their utterance;
        ``changes``: how many of these name another class than the estimate before. ``finals``:
        utterances; ``final_changes``: how many finals name another class than the first estimate.
        ``difference``: the largest difference of any probability between a first estimate or a
        final and the offline model that sees as many later utterances. (Where two utterances end
        at once, a first estimate may see a later one.)
    """
    score, utterances = LiveScore(), {d.id: {u.id: u for u in d.utterances} for d in dialogues}
    improvised = {d.id: d.improvised for d in dialogues}
    said: dict[tuple[str, str], list[Emotion]] = defaultdict(list)
    for emotion in _streamed(model, dialogues):
        utterance = utterances[emotion.session][emotion.utterance]
        score.add(emotion, utterance, improvised[emotion.session])
        said[emotion.session, emotion.utterance].append(emotion)
    first = {key: own[0] for key, own in said.items()}
    last = {key: own[-1] for key, own in said.items()}
    rows = {**_ROWS, "final": str(model.look_ahead)}
    return {
        "counts": {
            name: {
                part: score.row(row, improvised=part == "improvised").counts.tolist()
                for part in SCORED_PARTS
            }
            for row, name in rows.items()
        },
        "revisions": sum(len(own) - 1 for own in said.values()),
        "changes": sum(
            before.label != after.label for own in said.values() for before, after in pairwise(own)
        ),
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
    for _ in run_in_virtual_time(parts, stopping=lambda: replay.done):
        pass
    return heard


def _difference(
    model: StreamingContextModel,
    dialogue: CorpusDialogue,
    estimates: dict[tuple[str, str], Emotion],
) -> float:
    inputs = inputs_of(model, dialogue.utterances, CONTEXT_MODALITIES)
    streamed = [estimates[dialogue.id, utterance.id] for utterance in dialogue.utterances]
    offline = {
        known: model.offline(inputs, known, influence=False)
        for known in {emotion.look_ahead for emotion in streamed}
    }
    return max(
        float(np.abs(offline[e.look_ahead][place].categorical - [*e.categorical.values()]).max())
        for place, e in enumerate(streamed)
    )
