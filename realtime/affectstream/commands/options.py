"""Options that several commands share.

Knows: their names, their help, and what they may be. Refuses to know: the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affectstream import __version__
from affectstream.errors import UsageError
from affectstream.show.lines import print_line

if TYPE_CHECKING:
    from affectstream.bus import Endpoint

Address = Annotated[str, typer.Option(help="The hub's address; it takes this port and two more.")]
OptionalAddress = Annotated[
    str | None, typer.Option(help="Use the node at this address instead of starting one.")
]
OwnAddress = Annotated[
    str | None, typer.Option(help="Where other programs can subscribe; default: a free port.")
]
KeysFolder = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="AFFECTSTREAM_KEYS",
        help="Folder of keys (see `affectstream keys`); needed off loopback.",
    ),
]
SessionOption = Annotated[str, typer.Option(help="The dialogue that this worker belongs to.")]
Speaker = Annotated[str, typer.Option(help="Who is heard or seen.")]
StartNs = Annotated[
    int | None, typer.Option(help="Event time of the recording's start, ns; default: now.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Skip what lies before now, after a restart.")
]
Speed = Annotated[str, typer.Option(help="Event seconds per second, or max.")]
InStep = Annotated[
    list[str] | None,
    typer.Option(
        "--in-step",
        help="With --speed max: another stream played at once, such as face.anna; repeatable.",
    ),
]
Checkpoint = Annotated[str, typer.Option(help="Weights: live, live-sentences, replay, or a file.")]
VoskModel = Annotated[
    Path | None,
    typer.Option(envvar="AFFECTSTREAM_VOSK_MODEL", help="Folder of a Vosk model."),
]
LookAhead = Annotated[str, typer.Option(help="Later utterances waited for, or all.")]
VoiceDetectorOption = Annotated[
    str, typer.Option("--vad", help="Voice detector, such as webrtc or silero.")
]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON.")]


def _print_version(asked: bool) -> None:
    if asked:
        print_line(f"affectstream {__version__}")
        raise typer.Exit


ShowVersion = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]


def endpoint_of(address: str, keys: Path | None) -> Endpoint:
    """Return the address with the keys in the folder ``keys``, or without any.

    Raises:
        SecurityError: the keys cannot be used.
    """
    from affectstream.bus import Endpoint

    return Endpoint.open(address, keys)


def look_ahead_of(text: str) -> int | None:
    """Return the number of later utterances; None is all.

    Raises:
        UsageError: the text is neither.
    """
    if text == "all":
        return None
    if not text.isdigit():
        raise UsageError(f"{text!r} is no look-ahead; write a number of utterances, or all")
    return int(text)
