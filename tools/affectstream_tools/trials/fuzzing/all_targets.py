"""Every target by its name, and its share of the cases.

A target runs in a process of its own: its memory is then its own, and a library's crash is noticed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from affectstream.errors import AffectstreamError
from affectstream_tools.trials.fuzzing.runs import Failure, Target, TargetOutcome, run_target


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """A target: how it is made, and its share of the cases that are asked for."""

    make: Callable[[], Target]
    share: float


def _codec() -> Target:
    from affectstream_tools.trials.fuzzing.targets.wire import CodecTarget

    return CodecTarget()


def _inlet() -> Target:
    from affectstream_tools.trials.fuzzing.targets.wire import InletTarget

    return InletTarget()


def _node() -> Target:
    from affectstream_tools.trials.fuzzing.targets.node import NodeTarget

    return NodeTarget()


def _shipped_node() -> Target:
    from affectstream.fusion.pretrained import PretrainedModel
    from affectstream_tools.trials.fuzzing.targets.node import NodeTarget

    model = PretrainedModel()
    return NodeTarget(model, model.look_ahead)


def _bus() -> Target:
    from affectstream_tools.trials.fuzzing.targets.bus import BusTarget

    return BusTarget()


def _wav() -> Target:
    from affectstream_tools.trials.fuzzing.targets.media import AudioTarget

    return AudioTarget()


def _mocap() -> Target:
    from affectstream_tools.trials.fuzzing.targets.media import MotionTarget

    return MotionTarget()


def _emo_evaluation() -> Target:
    from affectstream_tools.trials.fuzzing.targets.corpus import TextsTarget

    return TextsTarget()


def _toml() -> Target:
    from affectstream_tools.trials.fuzzing.targets.settings import DeploymentTarget

    return DeploymentTarget()


def _derived() -> Target:
    from affectstream_tools.trials.fuzzing.targets.corpus import DerivedTarget

    return DerivedTarget()


def _checkpoint() -> Target:
    from affectstream_tools.trials.fuzzing.targets.settings import CheckpointTarget

    return CheckpointTarget()


TARGETS = {
    "codec": TargetEntry(_codec, 1.0),
    "inlet": TargetEntry(_inlet, 1.0),
    "node": TargetEntry(_node, 1.0),
    "shipped-node": TargetEntry(_shipped_node, 0.01),
    "bus": TargetEntry(_bus, 0.05),
    "wav": TargetEntry(_wav, 0.4),
    "mocap": TargetEntry(_mocap, 0.2),
    "emo-evaluation": TargetEntry(_emo_evaluation, 0.1),
    "toml": TargetEntry(_toml, 0.2),
    "derived": TargetEntry(_derived, 0.09),
    "checkpoint": TargetEntry(_checkpoint, 0.01),
}
"""The shares of the file readers add up to one. ``bus`` is ``inlet`` over real sockets,
``shipped-node`` is ``node`` with the shipped model."""


def run_apart(
    name: str, messages: int, seed: int, on_progress: Callable[[int, int], None]
) -> TargetOutcome:
    """Fuzz one target in a process of its own.

    Args:
        messages: how many cases a target with a share of 1 gets.
        on_progress: called with how many cases are done, and how many there are.
    """
    count = max(1, round(TARGETS[name].share * messages))
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(name, count, seed, there), daemon=True)
    child.start()
    there.close()
    done = 0
    try:
        while not isinstance(said := here.recv(), TargetOutcome):
            done = said
            on_progress(done, count)
    except EOFError:
        child.join()
        found = TargetOutcome(name, cases=done)
        error = f"the process ended with status {child.exitcode}"
        found.failures.append(Failure(name, seed, 0, done, error))
        return found
    child.join()
    return said


def _run(name: str, count: int, seed: int, pipe: Connection) -> None:
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # what a decoder of sound says of each broken file
    pipe.send(run_target(name, TARGETS[name].make, count, seed, on_progress=pipe.send))


def names_of(target: str) -> tuple[str, ...]:
    """Return the targets that a name stands for.

    Raises:
        AffectstreamError: there is no target of that name.
    """
    if target == "all":
        return tuple(TARGETS)
    if target not in TARGETS:
        raise AffectstreamError(f"no target {target!r}; choose all or one of {', '.join(TARGETS)}")
    return (target,)
