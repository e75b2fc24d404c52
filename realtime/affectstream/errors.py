"""The base of the errors that a user is meant to read.

Knows: its name, and how what others have written is repeated in a sentence.
Refuses to know: what went wrong; whoever raises one says so in one sentence with a remedy.
"""

LONGEST_REPEATED = 200
"""Characters of what a stranger has sent that an error repeats: it ends in logs."""


class AffectstreamError(Exception):
    """Something that the user can mend; the message says how."""


class UsageError(AffectstreamError, ValueError):
    """An argument that cannot be used."""


def brief(said: object, most: int = LONGEST_REPEATED) -> str:
    """Return what a stranger, a file or a library has said: on one line, printable, and cut."""
    text = str(said)
    text = " ".join(text[: 20 * most].split())
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= most else f"{text[:most]}..."
