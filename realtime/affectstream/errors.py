"""The base of the errors that a user is meant to read.

Knows: nothing but its name.
Refuses to know: what went wrong; whoever raises one says so in one sentence with a remedy.
"""


class AffectstreamError(Exception):
    """Something that the user can mend; the message says how."""


class UsageError(AffectstreamError, ValueError):
    """An argument that cannot be used."""
