"""The one error of the sources.

Knows: nothing but its name.
Refuses to know: what went wrong; whoever raises it says so.
"""

from affectstream.errors import AffectstreamError


class SourceError(AffectstreamError):
    """A device, file or model cannot be used; said in one sentence with a remedy."""
