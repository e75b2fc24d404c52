"""The context model on IEMOCAP's labels, by how much of the dialogue it may know.

A job is one fold: train, score offline at every look-ahead, stream through the fusion node, and
compare the two. ``report`` pools and shows what the jobs found.

*session*: one session is scored, the others are learned from; the speakers are new, the scenarios
are not. *scenario*: one scenario of one session is scored; neither the session nor the scenario,
in any session, is learned from. A speaker's statistics are normalised by all that the speaker says,
before and after; no label is used for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_models.context.model import StreamingContextModel
from affectstream_tools.corpora.speaker_statistics import speaker_normalised
from affectstream_tools.corpora.splits import (
    Split,
    few_dialogues,
    hold_out_scenarios,
    hold_out_session,
)
from affectstream_tools.corpora.word_vectors import read_glove, read_glove_by_word
from affectstream_tools.jobs.jobs import Job
from affectstream_tools.studies.context.counts import count_offline
from affectstream_tools.studies.context.streamed import stream_and_compare
from affectstream_tools.train.kept_sentences import KeptSentences, keep_sentences
from affectstream_tools.train.recipes import NEW_SCENARIOS, NEW_SESSION
from affectstream_tools.train.targets import clusterings_of
from affectstream_tools.train.trainer import Sources, Trainer, TrainingRecipe

PROTOCOL_RECIPES = {"session": NEW_SESSION, "scenario": NEW_SCENARIOS}
"""The recipe of each protocol's networks."""

NETWORK_KINDS = ("context", "alone")
"""Networks that know a dialogue, and networks that know one utterance at a time."""

_TASK = "affectstream_tools.studies.context.experiment:score_context_fold"


def context_jobs(
    data: Path, cache: Path, protocol: str, *, seed: int = 0, small: bool = False
) -> list[Job]:
    """Return a job for each fold of a protocol and each kind of network.

    Raises:
        ValueError: there is no such protocol.
        CorpusError: the derived set or the word vectors cannot be read.
    """
    read_glove(data.parent)
    dialogues = read_derived(data)
    held_out = context_fold_names(few_dialogues(dialogues) if small else dialogues, protocol)
    return [
        Job(
            f"context-{'small-' if small else ''}{protocol}/{kind}/{name.replace(', ', '-')}"
            f"/seed-{seed}".replace(" ", "-"),
            _TASK,
            {
                "data": str(data),
                "cache": str(cache),
                "protocol": protocol,
                "held_out": name,
                "kind": kind,
                "seed": seed,
                "small": small,
            },
        )
        for name in (held_out[:1] if small else held_out)
        for kind in NETWORK_KINDS
    ]


def context_fold_names(dialogues: Sequence[CorpusDialogue], protocol: str) -> list[str]:
    """Return what is held out in turn, such as ``session 5`` or ``session 5, impro01``.

    Raises:
        ValueError: there is no such protocol.
    """
    if protocol not in PROTOCOL_RECIPES:
        raise ValueError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOL_RECIPES)}")
    if protocol == "session":
        return [f"session {number}" for number in sorted({d.session for d in dialogues})]
    return [f"session {n}, {s}" for n, s in sorted({(d.session, d.scenario) for d in dialogues})]


def split_of(dialogues: Sequence[CorpusDialogue], held_out: str) -> Split:
    """Return the split that holds out what ``context_fold_names`` has named."""
    session, _, scenario = held_out.removeprefix("session ").partition(", ")
    if scenario:
        return hold_out_scenarios(dialogues, int(session), [scenario])
    return hold_out_session(dialogues, int(session))


def kept_sentences(cache: Path, recipe: TrainingRecipe) -> KeptSentences:
    """Return a recipe's sentence encoder, with the vectors that the cache keeps."""
    return keep_sentences(cache / "sentences", recipe.sizes["sentence_encoder"])


def known_speakers(dialogues: Sequence[CorpusDialogue]) -> list[CorpusDialogue]:
    """Return the dialogues with statistics in deviations from each speaker's mean."""
    found = speaker_normalised(
        dialogues, {u.id: u.acoustic for d in dialogues for u in d.utterances}
    )
    return [
        replace(
            d,
            utterances=tuple(
                replace(u, acoustic=found[u.id].astype(np.float32)) for u in d.utterances
            ),
        )
        for d in dialogues
    ]


def centres_of(
    dialogues: Sequence[CorpusDialogue], protocol: str, *, small: bool = False
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return fold -> task -> centres (K, 2) of the clusters of the fold's training annotations."""
    if small:
        dialogues = few_dialogues(dialogues)
    found = {}
    for name in context_fold_names(dialogues, protocol):
        train = split_of(dialogues, name).train
        fitted = clusterings_of(train, PROTOCOL_RECIPES[protocol].sizes["clusters"])
        found[name] = {one.task: one.centres for one in fitted if one.centres is not None}
    return found


def score_context_fold(
    data: str, cache: str, protocol: str, held_out: str, kind: str, seed: int, small: bool
) -> dict[str, Any]:
    """Train on all but a fold, and count the network's answers on the fold; this is a job.

    Returns:
        ``counts``: see ``Counts.to_dict``. For networks that know a dialogue, also ``streamed``:
        what ``stream_and_compare`` returns.
    """
    recipe, folder = PROTOCOL_RECIPES[protocol], Path(data)
    dialogues = known_speakers(read_derived(folder))
    if small:
        dialogues = few_dialogues(dialogues)
        brief = replace(recipe.schedule, epochs=2, average_from=0.0)
        recipe = replace(recipe, members=1, schedule=brief)
    split = split_of(dialogues, held_out)
    train, test = list(split.train), list(split.test)
    if kind == "alone":
        test = list(_alone(test))
        recipe = replace(recipe, schedule=replace(recipe.schedule, alone=True))
    sentences = kept_sentences(Path(cache), recipe)
    sources = Sources(train, read_glove_by_word(folder.parent), sentence_encoder=sentences)
    network, fitted = Trainer(sources, recipe, seed).train(train)
    counts = count_offline(network, fitted, test, [0] if kind == "alone" else None)
    result: dict[str, Any] = {
        "counts": counts.to_dict(),
        "learned": sum(len(d.utterances) for d in train),
        "scored": sum(len(d.utterances) for d in test),
        "recipe": recipe.to_dict(),
    }
    if kind == "context":
        model = StreamingContextModel(
            network,
            id=f"context, without {held_out}",
            sha256="0" * 64,
            look_ahead=recipe.look_ahead,
            sentences=sentences,
        )
        result["streamed"] = stream_and_compare(model, test)
    return result


def _alone(dialogues: Sequence[CorpusDialogue]) -> Iterator[CorpusDialogue]:
    """Yield each utterance as a dialogue of its own."""
    for dialogue in dialogues:
        for utterance in dialogue.utterances:
            yield replace(dialogue, utterances=(utterance,))
