"""The one error of the sources.

Knows: nothing but its name.
Refuses to know: what went wrong; whoever raises it says so.
"""


class SourceError(Exception):
    """A device, file or model cannot be used; said in one sentence with a remedy."""
