"""A synthetic corpus that experiments share: drawn once and kept in the cache.

Another model, another size or another way to write the corpus makes another corpus.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from affectstream.errors import AffectstreamError
from affectstream_tools.synthesis import (
    corpus_writer,
    iemocap_files,
    rendered_motion,
    rendered_voice,
    rendered_words,
)
from affectstream_tools.synthesis.dialogue_model import DialogueModel

_CorpusSize = tuple[int, int, int, int]
"""Sessions, dialogues of each, utterances of each, frames of motion a second."""

_WRITERS = (iemocap_files, corpus_writer, rendered_motion, rendered_voice, rendered_words)


def kept_corpus(cache: Path, model: DialogueModel, size: _CorpusSize) -> Path:
    """Return the folder of the corpus; where it is not there, it is written, whole or not at all.

    Raises:
        AffectstreamError: it cannot be written.
    """
    place = cache / "synthetic" / "-".join([*map(str, size), _digest(model)])
    if place.is_dir():
        return place
    sessions, dialogues, utterances, rate_hz = size
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent) as part:
            written = Path(part) / "corpus"
            corpus_writer.write_corpus(
                written,
                model,
                sessions=sessions,
                dialogues_per_session=dialogues,
                utterances=utterances,
                frame_rate_hz=rate_hz,
                workers=1,
            )
            _put(written, place)
    except OSError as error:
        raise AffectstreamError(
            f"{place} cannot be written ({error.strerror}); name another folder with --cache"
        ) from error
    return place


def _put(written: Path, place: Path) -> None:
    try:
        written.rename(place)
    except OSError:  # another process was first
        if not place.is_dir():
            raise


def _digest(model: DialogueModel) -> str:
    digest = hashlib.sha256(json.dumps(model.to_dict()).encode())
    for module in _WRITERS:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]
