"""An estimate as a message.

Knows: what a model says of an utterance, and how it is rounded and bounded for the wire.
Refuses to know: which estimates are due, and how they were computed.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """Return the estimate as it is published."""
    categorical = {
        name: _probability(p) for name, p in zip(CLASSES, estimate.categorical, strict=True)
    }
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
            name: Dimension(
                mean=round(min(5.0, max(1.0, float(mean))), 6),
                levels=(_probability(p[0]), _probability(p[1]), _probability(p[2])),
            )
            for name, (mean, p) in estimate.dimensional.items()
        },
        clusters={n: tuple(map(_probability, p)) for n, p in estimate.clusters.items()},
        modalities={n: _probability(share) for n, share in estimate.influence.items()},
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


def _probability(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 6)
