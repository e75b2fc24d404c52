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
class Entry:
    """A target: what makes it, and its share of the cases asked for."""

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
    "codec": Entry(_codec, 1.0),
    "inlet": Entry(_inlet, 1.0),
    "node": Entry(_node, 1.0),
    "shipped-node": Entry(_shipped_node, 0.01),
    "bus": Entry(_bus, 0.05),
    "wav": Entry(_wav, 0.4),
    "mocap": Entry(_mocap, 0.2),
    "emo-evaluation": Entry(_emo_evaluation, 0.1),
    "toml": Entry(_toml, 0.2),
    "derived": Entry(_derived, 0.09),
    "checkpoint": Entry(_checkpoint, 0.01),
}
"""The readers' shares add up to one; ``bus`` is the inlet's over real sockets, and
``shipped-node`` the node with the model that ships."""


def run_apart(
    name: str, messages: int, seed: int, on_progress: Callable[[int, int], None]
) -> TargetOutcome:
    """Fuzz one target in a process of its own.

    Args:
        on_progress: is told how many cases are done, of how many.
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
        AffectstreamError: it is none.
    """
    if target == "all":
        return tuple(TARGETS)
    if target not in TARGETS:
        raise AffectstreamError(f"no target {target!r}; choose all or one of {', '.join(TARGETS)}")
    return (target,)
