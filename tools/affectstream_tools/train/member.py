"""Training of one network of the context model: random look-ahead, absent modalities, fixed epochs.

It sees prepared dialogues of one corpus or several. The held-out ones are never passed in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from affectstream_models.context.batches import collate
from affectstream_models.context.memory import memory_width
from affectstream_models.context.network import (
    CHAIN_START,
    ContextMember,
    UtteranceBatch,
    relations_of,
)
from affectstream_tools.train.losses import DialogueLosses
from affectstream_tools.train.optimisation import Optimisation
from affectstream_tools.train.schedule import MemberSchedule
from affectstream_tools.train.targets import DrawnDialogue, PreparedDialogue


def train_member(
    member: ContextMember,
    dialogues: Sequence[PreparedDialogue],
    schedule: MemberSchedule,
    seed: int,
    *,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Train one network, in place; the same arguments give the same weights on the same machine.

    See ``Optimisation`` for which weights are moved and which are kept.
    """
    rng = np.random.default_rng(seed)
    losses_of = DialogueLosses(dialogues, schedule, member.config.clusters)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member.train()
        if not any(p.requires_grad for p in member.text_encoder.parameters()):
            member.text_encoder.eval()
        main = sum(dialogue.corpus not in schedule.parts for dialogue in dialogues)
        steps = -(-main // schedule.dialogues_per_step)
        optimisation = Optimisation(member, schedule, steps=steps, most_gradient=1.0)
        for epoch in range(schedule.epochs):
            losses = []
            for chosen in _steps(dialogues, schedule, steps, rng):
                drawn = [_draw(dialogue, schedule, rng) for dialogue in chosen]
                outputs = _outputs(member, drawn, schedule, rng)
                losses.append(optimisation.step(losses_of(outputs, drawn)))
            optimisation.end_epoch(epoch)
            progress(epoch, float(np.mean(losses)))
    optimisation.finish()


def _steps(
    dialogues: Sequence[PreparedDialogue],
    schedule: MemberSchedule,
    steps: int,
    rng: np.random.Generator,
) -> list[list[PreparedDialogue]]:
    """Return an epoch's steps: all dialogues of the first corpus, and each other corpus's share."""
    by_corpus: dict[str, list[PreparedDialogue]] = defaultdict(list)
    for dialogue in dialogues:
        by_corpus["" if dialogue.corpus not in schedule.parts else dialogue.corpus].append(dialogue)
    epoch: list[list[PreparedDialogue]] = [[] for _ in range(steps)]
    for corpus, known in sorted(by_corpus.items()):
        share = schedule.parts[corpus].share if corpus else 1.0
        order = rng.permutation(len(known))[: max(1, round(share * len(known)))]
        for step, chosen in zip(epoch, np.array_split(order, steps), strict=True):
            step += [known[i] for i in chosen]
    return epoch


def _draw(
    dialogue: PreparedDialogue, schedule: MemberSchedule, rng: np.random.Generator
) -> DrawnDialogue:
    """Draw a dialogue's part, order and alternative, and whether it lacks its text or its sound."""
    count = len(dialogue.speakers)
    order = np.arange(count)
    if schedule.shuffle and rng.random() < schedule.shuffle:
        order = rng.permutation(count)
    if count > 8 and rng.random() < schedule.crop:
        length = int(rng.integers(count // 2, count))
        start = int(rng.integers(0, count - length))
        order = order[start : start + length]
    part = dialogue.chosen([int(i) for i in order])
    acoustic = part.acoustic[int(rng.integers(len(part.acoustic)))]
    text = tuple(one[0] for one in part.text)
    if schedule.mistakes and rng.random() < schedule.mistakes:
        text = tuple(one[int(rng.integers(len(one)))] for one in part.text)
    if any(one is not None for one in acoustic) and any(not one.empty for one in text):
        chance = rng.random()
        if chance < schedule.without_text:
            text = tuple(replace(one, empty=True) for one in text)
        elif chance < schedule.without_text + schedule.without_acoustic:
            acoustic = (None,) * len(acoustic)
    return DrawnDialogue(
        part.corpus, part.speakers, acoustic, text, part.emotion, part.scales, part.clusters
    )


def _outputs(
    member: ContextMember,
    dialogues: Sequence[DrawnDialogue],
    schedule: MemberSchedule,
    rng: np.random.Generator,
) -> Tensor:
    """Return outputs (B, O) of all utterances, with some n-grams and modalities left out."""
    acoustic = [a for d in dialogues for a in d.acoustic]
    batch = _augmented(collate(acoustic, [t for d in dialogues for t in d.text]), schedule)
    if schedule.alone:
        return outputs_alone(member, batch)
    speakers = [d.speakers for d in dialogues]
    return member_outputs(member, batch, speakers, lambda count: _ends(count, schedule, rng))


def member_outputs(
    member: ContextMember,
    batch: UtteranceBatch,
    speakers: Sequence[Sequence[str]],
    ends: Callable[[int], list[int]],
) -> Tensor:
    """Return outputs (B, O) of the B utterances of whole dialogues.

    Args:
        ends: at which of a dialogue's n utterances the backward chain starts anew, in order; the
            last utterance is always among them.
    """
    fused = member.fuse(batch)  # (B, F)
    forward_chains, forward_relations = [], []
    backward_chains, backward_relations = [], []
    memories = []
    first = 0
    for names in speakers:
        forward_chains.append(torch.arange(first, first + len(names)))
        forward_relations += relations_of(names)
        start, lasts = 0, []
        for end in ends(len(names)):
            lasts += [end] * (end + 1 - start)
            backward_chains.append(torch.arange(first + end, first + start - 1, -1))
            backward_relations += relations_of(names[start : end + 1][::-1])
            start = end + 1
        memories.append(member.remember(fused[first : first + len(names)], names, lasts))
        first += len(names)
    forward = member.run_chain(fused, torch.tensor(forward_relations), forward_chains, forward=True)
    visited = member.run_chain(
        fused, torch.tensor(backward_relations), backward_chains, forward=False
    )
    backward = torch.zeros_like(visited).index_copy(0, torch.cat(backward_chains), visited)
    return member.score(forward, backward, fused, torch.cat(memories))


def outputs_alone(member: ContextMember, batch: UtteranceBatch) -> Tensor:
    """Return outputs (B, O) of B utterances, each as a dialogue of its own."""
    fused = member.fuse(batch)  # (B, F)
    count = len(fused)
    chains, starts = torch.arange(count)[:, None].unbind(), torch.full((count,), CHAIN_START)
    states = [member.run_chain(fused, starts, chains, forward=way) for way in (True, False)]
    width = memory_width(member.config.fused_dim, member.config.memory)
    return member.score(states[0], states[1], fused, fused.new_zeros(count, width))


def _ends(count: int, schedule: MemberSchedule, rng: np.random.Generator) -> list[int]:
    chance = schedule.resets[int(rng.integers(len(schedule.resets)))]
    drawn = rng.random(count) < chance
    drawn[-1] = True
    return [int(i) for i in np.flatnonzero(drawn)]


def _augmented(batch: UtteranceBatch, schedule: MemberSchedule) -> UtteranceBatch:
    """Drop n-grams and modalities, and add Gaussian noise to the acoustic statistics.

    Where an utterance has both modalities, one may be left out; where it has one, it is kept.
    """
    kept = (torch.rand_like(batch.weights) >= schedule.ngram_dropout).float()
    draw = torch.rand_like(batch.has_text)
    both = batch.has_acoustic * batch.has_text > 0
    batch = replace(
        batch,
        weights=batch.weights * kept / (1 - schedule.ngram_dropout),
        acoustic=batch.acoustic + schedule.noise_sd * torch.randn_like(batch.acoustic),
    )
    return batch.masked(
        acoustic=(~both | (draw >= schedule.modality_dropout)).float(),
        text=(~both | (draw < 1 - schedule.modality_dropout)).float(),
    )
