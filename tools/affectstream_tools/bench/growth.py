"""Whether an utterance costs more the longer its dialogue is.

The fusion node's machine is called directly, without sockets; its clock is made up.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np

from affectstream.fusion.node import FusionNode
from affectstream.fusion.pretrained import PretrainedModel
from affectstream.messages import Emotion
from affectstream.timebase import NS_PER_S
from affectstream_tools.bench.load import DialogueLoad

_EARLY = 10
"""The number, from 1, of the early utterance: by then the window of open utterances is full."""

_START_NS = 1_700_000_000 * NS_PER_S


class _Dialogue:
    """A node with one dialogue that speaks every three seconds."""

    def __init__(self, model: PretrainedModel, seed: int) -> None:
        self._node = FusionNode(model, model.look_ahead)
        self._load = DialogueLoad("long", seed)
        self._now_ns = _START_NS
        for message in self._load.opening(self._now_ns):
            self._node.receive(message, self._now_ns)

    def speak(self, times: int = 1) -> float:
        """Let it say ``times`` utterances; return what the last one cost, in ms."""
        cost_ns, estimates = 0, 0
        for _ in range(times):
            self._now_ns += 3 * NS_PER_S
            messages = self._load.utterance(self._now_ns)
            began_ns = time.perf_counter_ns()
            said = []
            for message in messages:
                said += self._node.receive(message, self._now_ns)
            said += self._node.wake(self._now_ns)
            cost_ns = time.perf_counter_ns() - began_ns
            estimates += sum(isinstance(message, Emotion) for message in said)
        assert estimates >= times, "the node did not estimate every utterance"
        return cost_ns / 1e6


def measure_growth(
    utterances: int,
    *,
    seed: int,
    window: int = 101,
    on_progress: Callable[[int], None] = lambda _: None,
) -> dict[str, object]:
    """Return what the last utterances of a long dialogue cost, over the 10th of a short one.

    The two are timed alternately, ``window`` times, so that both see the same machine: an
    utterance of the long dialogue, then the 10th of a new dialogue. Medians in milliseconds.
    """
    model = PretrainedModel()
    long = _Dialogue(model, seed)
    for done in range(1, max(1, utterances - window) + 1):
        long.speak()
        if done % 50 == 0:
            on_progress(done)
    gc.collect()
    early, late = [], []
    for turn in range(window):
        late.append(long.speak())
        early.append(_Dialogue(model, seed + 1 + turn).speak(_EARLY))
        on_progress(utterances - window + turn + 1)
    early_ms, late_ms = float(np.median(early)), float(np.median(late))
    return {
        "growth": round(late_ms / early_ms, 4),
        "utterances": max(1, utterances - window) + window,
        "early_ms": round(early_ms, 4),
        "late_ms": round(late_ms, 4),
    }
