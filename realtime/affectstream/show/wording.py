"""Messages in words, for a terminal or a log.

Knows: how each message reads in one line.
Refuses to know: terminals, colours, and where the lines go.
"""

from __future__ import annotations

import msgspec

from affectstream.errors import printable
from affectstream.fusion.session import CLAIM_SOURCE
from affectstream.messages import (
    Emotion,
    Gap,
    Message,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS, NS_PER_S

YEAR_NS = 365 * 24 * 3600 * NS_PER_S  # later event times count from 1970, not from a file's start

NOTICE = (
    "Emotion inferred from voice and face is an estimate. In the EU it is forbidden at work and in "
    "education (AI Act, Art. 5(1)(f)), and people must be told (Art. 50(3))."
)


def clock(event_ns: int, origin_ns: int = 0) -> str:
    """Return event time as ``mm:ss.s`` since ``origin_ns``.

    Without an origin, the time of a live stream (nanoseconds since 1970) is shown as the UTC time
    of day, ``hh:mm:ss``.
    """
    if origin_ns == 0 and event_ns > YEAR_NS:
        origin_ns = event_ns - event_ns % (24 * 3600 * NS_PER_S)
        tenths = (event_ns - origin_ns) // (100 * NS_PER_MS)
        return f"{tenths // 36000:02d}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}"
    tenths = (event_ns - origin_ns) // (100 * NS_PER_MS)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def event_line(message: Message, origin_ns: int = 0) -> str | None:
    """Return the message in one printable line; None for kinds of no interest to a person."""
    line = _line_of(message, origin_ns)
    return None if line is None else printable(line)


def printable_message(message: Message) -> Message:
    """Return the message with every name and every text in it ``printable``."""
    changed = {f: _printable_value(getattr(message, f)) for f in message.__struct_fields__}
    return msgspec.structs.replace(message, **changed)


def _printable_value(value: object) -> object:
    match value:
        case str():
            return printable(value)
        case dict():
            return {_printable_value(name): _printable_value(each) for name, each in value.items()}
        case _:
            return value  # a number, an array, or what is never shown, such as single words


def _line_of(message: Message, origin_ns: int) -> str | None:
    match message:
        case Emotion():
            return _emotion(message, origin_ns)
        case Transcript() if message.final:
            when = clock(message.end_ns, origin_ns)
            return f"{when}  {message.speaker:<9} said         “{message.text}”"
        case UtteranceStarted():
            return f"{clock(message.start_ns, origin_ns)}  {message.speaker:<9} speaks"
        case Gap():
            what = f"{message.count or ''} {message.lost} of {message.of}".strip()
            return f"-- {message.session}: lost {what}: {message.reason}"
        case StreamOpened() if message.modality != "emotion":
            return f"-- {message.session}: {message.source} opened ({message.modality})"
        case StreamClosed() if message.source != CLAIM_SOURCE:
            return f"-- {message.session}: {message.source} closed ({message.reason})"
        case _:
            return None


def label(emotion: Emotion) -> str:
    """Return the most probable class, marked as unsure where the model is not sure of it."""
    return emotion.label if emotion.sure else f"unsure ({emotion.label}?)"


def _emotion(emotion: Emotion, origin_ns: int) -> str:
    share = emotion.categorical[emotion.label]
    scales = "  ".join(
        f"{name[0].upper()} {value.mean:.1f}" for name, value in emotion.dimensional.items()
    )
    evidence = " + ".join(emotion.modalities) or "context alone"
    return (
        f"{clock(emotion.end_ns, origin_ns)}  {emotion.speaker:<9} {emotion.status:<11} "
        f"{label(emotion):<19} {share:4.0%}  {scales}  "
        f"[{emotion.utterance} r{emotion.revision}, {emotion.look_ahead} later, {evidence}]"
    )
