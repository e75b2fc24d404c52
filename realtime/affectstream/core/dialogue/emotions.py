"""An estimate as a message.

Knows: what a model says of an utterance, and how it is rounded and bounded for the wire.
Refuses to know: which estimates are due, and how they were computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.model import CLASSES, Estimate
from affectstream.messages import Dimension, Emotion, ModelIdentity, Status

MAX_TEXT_BYTES = 16 * 1024
"""How much of an utterance's text an estimate repeats, in UTF-8; the transcript has all of it.

A transcript may fill its message, and an estimate says more than its text: what comes in must fit
when it goes out.
"""

_CUT = "\N{HORIZONTAL ELLIPSIS}"


_OFF = 1e-4
"""How far a model's probabilities may be from summing to 1: they are float32."""


class UnusableEstimateError(ValueError):
    """A model's answer is no estimate: it could not compute with its weights or its inputs."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all estimates of one step share.

    Attributes:
        identity: which weights.
        now_ns: processing time.
        latency_ms: processing time by stage.
        sure_above: the least probability of the top class of a sure estimate.
    """

    identity: ModelIdentity
    now_ns: int = 0
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    sure_above: float = 0.0


def emotion_of(
    utterance: AlignedUtterance,
    estimate: Estimate,
    stamp: Stamp,
    *,
    session: str,
    source: str,
    revision: int,
    status: Status,
    look_ahead: int,
) -> Emotion:
    """Return the estimate as it is published.

    Raises:
        UnusableEstimateError: the model has computed no probabilities, or no number.
    """
    shares = _distribution("classes", estimate.categorical)
    categorical = dict(zip(CLASSES, shares, strict=True))
    return Emotion(
        session=session,
        source=source,
        utterance=utterance.id,
        speaker=utterance.speaker,
        start_ns=utterance.start_ns,
        end_ns=utterance.end_ns,
        revision=revision,
        status=status,
        categorical=categorical,
        sure=max(categorical.values()) >= stamp.sure_above,
        dimensional={
            name: _dimension(name, mean, levels)
            for name, (mean, levels) in estimate.dimensional.items()
        },
        clusters={n: _distribution(f"{n} clusters", p) for n, p in estimate.clusters.items()},
        modalities={n: _number(n, share, 0.0, 1.0) for n, share in estimate.influence.items()},
        look_ahead=look_ahead,
        text=_fitting(utterance.text),
        model=stamp.identity,
        latency_ms=_latency_ms(utterance, stamp, status),
    )


def _latency_ms(utterance: AlignedUtterance, stamp: Stamp, status: Status) -> dict[str, float]:
    latency = dict(stamp.latency_ms)
    if status == "provisional":
        latency["wait"] = _milliseconds(stamp.now_ns - utterance.announced_ns)
        if utterance.sent_ns:
            latency["wire"] = _milliseconds(utterance.announced_ns - utterance.sent_ns)
    return latency


def _fitting(text: str | None) -> str | None:
    """Return the text, or as much of its beginning as an estimate may repeat."""
    if text is None or len(text.encode(errors="replace")) <= MAX_TEXT_BYTES:
        return text
    start = text.encode(errors="replace")[: MAX_TEXT_BYTES - len(_CUT.encode())]
    return start.decode(errors="ignore") + _CUT


def _milliseconds(ns: int) -> float:
    """Return what the wire can say: another host's clock may be ahead of ours, or far behind."""
    return min(1e9, max(0, ns) / 1e6)


def _dimension(name: str, mean: float, levels: Iterable[float]) -> Dimension:
    low, middle, high = _distribution(f"levels of {name}", levels)
    return Dimension(mean=_number(name, mean, 1.0, 5.0), levels=(low, middle, high))


def _distribution(name: str, shares: Iterable[float]) -> tuple[float, ...]:
    """Return probabilities, rounded; they sum to 1 but for what rounding adds."""
    given = [float(share) for share in shares]
    # NaN compares as false: what is not finite is refused here too.
    if not abs(sum(given) - 1) <= _OFF or min(given) < -_OFF:
        raise UnusableEstimateError(f"the model's {name} are no probabilities: {given}")
    return tuple(_number(name, share, 0.0, 1.0) for share in given)


def _number(name: str, value: float, least: float, most: float) -> float:
    """Return a value within its range, rounded."""
    if not math.isfinite(value):
        raise UnusableEstimateError(f"the model's {name} is no number: {value}")
    return round(min(most, max(least, float(value))), 6)
