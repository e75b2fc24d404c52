"""What the targets that read files share: a folder, and the check of what they answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from affectstream.codec import decode, encode
from affectstream.errors import AffectstreamError
from affectstream.messages import Message, Progress
from affectstream_tools.trials.fuzzing.runs import FuzzCase, checked_sentence


class FileTarget:
    """A reader of files, and a folder for them, in memory where the system has one."""

    stateful = False

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self._kept = TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.folder = Path(self._kept.name)

    def finish(self) -> None:
        """Remove the folder."""
        self._kept.cleanup()

    def give(self, case: FuzzCase) -> str:
        """Let the reader read; a refusal must be one sentence."""
        try:
            self.read(case)
        except AffectstreamError as error:
            said = checked_sentence(error)
            return _reason(said)
        return "accepted"

    def read(self, case: FuzzCase) -> None:
        """Read the case's files."""
        raise NotImplementedError


def _reason(said: str) -> str:
    """Return the first words of a refusal, without names and numbers, to count it by."""
    words = [word for word in said.split() if word.isalpha() and word.isascii()]
    return " ".join(words[:5])


def check_published(messages: Iterable[Message]) -> None:
    """Check that all that is made of a file can be sent, and read again."""
    for message in messages:
        if isinstance(message, Progress):
            continue  # there are many, each only a number
        assert decode(encode(message)) == message, "nobody could read it"
