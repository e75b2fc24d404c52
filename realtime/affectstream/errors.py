"""The errors that a user is meant to read, and how others' words are repeated in them.

Knows: the base of those errors, and what keeps a stranger from filling a log.
Refuses to know: what went wrong; whoever raises one says so in one sentence with a remedy.
"""

MAX_REPEATED = 200
"""Characters of what a stranger has sent that an error repeats: it ends in logs."""
_JOINERS = "\u200c\u200d"
"""Not printable by themselves, but Persian and Indian words need them."""


class AffectstreamError(Exception):
    """Something that the user can mend; the message says how."""


class UsageError(AffectstreamError, ValueError):
    """An argument that cannot be used."""


class BusError(AffectstreamError):
    """The bus cannot be used as asked."""


class SourceError(AffectstreamError):
    """A device, file or model cannot be used."""


def printable(said: object) -> str:
    """Return what a stranger has said as one line that no terminal obeys.

    Line ends and other white space become spaces. What cannot be printed is written as its escape,
    such as ``\\x1b``: control characters, marks that turn the direction of writing, halves of a
    surrogate pair.
    """
    text = str(said)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()


def brief(said: object, most: int = MAX_REPEATED) -> str:
    """Return what a stranger, a file or a library has said: on one line, printable, and cut."""
    text = " ".join(printable(str(said)[: 20 * most]).split())
    return text if len(text) <= most else f"{text[:most]}..."


def worth_logging(count: int) -> bool:
    """Return whether the ``count``-th event of a kind gets a line: a flood must not fill a log."""
    return count in (1, 10, 100) or count % 1000 == 0
