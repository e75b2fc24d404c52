"""affectstream: streaming, real-time, multimodal emotion recognition.

What a program that subscribes needs; nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affectstream.client import AsyncSubscriber, Subscriber, subscribe
    from affectstream.core.dialogue.revision_book import RevisionBook
    from affectstream.messages import Dimension, Emotion, Gap, StreamClosed

__version__ = "0.2.0"  # hatch reads it from here when it builds the package

__all__ = [
    "AsyncSubscriber",
    "Dimension",
    "Emotion",
    "Gap",
    "RevisionBook",
    "StreamClosed",
    "Subscriber",
    "subscribe",
]

_HOMES = {
    "AsyncSubscriber": "affectstream.client",
    "Subscriber": "affectstream.client",
    "subscribe": "affectstream.client",
    "RevisionBook": "affectstream.core.dialogue.revision_book",
    "Dimension": "affectstream.messages",
    "Emotion": "affectstream.messages",
    "Gap": "affectstream.messages",
    "StreamClosed": "affectstream.messages",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'affectstream' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
