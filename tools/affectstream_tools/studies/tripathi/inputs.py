"""What the networks of Tripathi and Beigi (2018) are given of an utterance, as tensors.

Vocabulary, word vectors and scales are fitted on the utterances that are learned from. In the
paper's code nothing is scaled, and the vocabulary is of all transcripts, the scored part's too.
Here each column of speech and of MoCap has mean 0 and standard deviation 1 over the training part,
and words are those of the training part. A word that occurs there once counts as unknown: so number
1, which stands for words that only the scored part has, is learned as well. Words without a vector
start at zeros, as in their code.

Their inputs are 100 rows of speech and 500 tokens, however few an utterance fills. Rows and tokens
that every utterance of a corpus leaves empty are left out here: no network learns from them, and
most would compute longer for them than for the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from affectstream.errors import AffectstreamError
from affectstream.features.text import (
    TOKENS,
    WordVectors,
    learn_vocabulary,
    read_word_vectors,
    token_ids,
    words_of,
)
from affectstream_models.tripathi.checkpoints import FIRST_WORD, Moments, NetworkDescription
from affectstream_models.tripathi.networks import NETWORKS, build_network
from affectstream_models.tripathi.text import given_embedding
from affectstream_tools.studies.tripathi.training import initialise

_Frames = NDArray[np.float32]
_Indices = NDArray[np.int64]

_LEAST_OCCURRENCES = 2
_LEAST_SD = 1e-6


def fitted(
    description: NetworkDescription,
    texts: Sequence[str],
    frames: Mapping[str, _Frames],
    train: _Indices,
    vectors: WordVectors | None,
) -> NetworkDescription:
    """Return the description with a vocabulary and a normalisation fitted on the training part.

    Args:
        texts: of all utterances; empty for a network without text.
        frames: of all utterances, by input: ``speech`` (N, T, 34), ``mocap`` (N, R, 189).
        train: the utterances that are learned from.
        vectors: for a network that starts at them.
    """
    network = NETWORKS[description.name]
    vocabulary: list[str] = []
    if "tokens" in network.inputs:
        learned = learn_vocabulary((texts[i] for i in train), least=_LEAST_OCCURRENCES)
        known = vectors.vocabulary if vectors is not None else {}
        vocabulary = [*known, *(token for token in learned if token not in known)]
    return replace(
        description,
        vocabulary=tuple(vocabulary),
        dimensions=0 if vectors is None else vectors.table.shape[1],
        normalisation={
            name: _moments(_columns(description.name, name, frames)[train])
            for name in network.inputs
            if name != "tokens"
        },
    )


def longest(speech: _Frames) -> int:
    """Return how many rows of (N, T, 34) are used by any utterance; at least one."""
    return int(np.flatnonzero(speech.any(axis=(0, 2))).max(initial=0)) + 1


def longest_text(texts: Sequence[str]) -> int:
    """Return the tokens of the longest text, between one and ``TOKENS``."""
    return max(1, min(TOKENS, max(len(words_of(text)) for text in texts)))


def encoded(
    description: NetworkDescription, texts: Sequence[str], frames: Mapping[str, _Frames]
) -> dict[str, Tensor]:
    """Return the tensors of all utterances, by the name of ``forward``'s argument."""
    network = NETWORKS[description.name]
    inputs: dict[str, Tensor] = {}
    for name in network.inputs:
        if name == "tokens":
            numbers = description.numbers()
            rows = [token_ids(text, numbers, description.length) for text in texts]
            inputs[name] = torch.from_numpy(np.stack(rows))
            continue
        values = _columns(description.name, name, frames)
        if name == "speech":
            values = values[:, : description.frames]
        inputs[name] = torch.from_numpy(_scaled(values, description.normalisation[name]))
    return inputs


def started(description: NetworkDescription, vectors: WordVectors | None, seed: int) -> nn.Module:
    """Return a network with the weights that training starts at."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(description.name, description.sizes())
        initialise(network)
    if vectors is not None:
        _put(network, _start(vectors, len(description.vocabulary)))
    return network


def read_vectors(path: Path, texts: Sequence[str]) -> tuple[WordVectors, str]:
    """Return the vectors of a file, and the file's name with the first digits of its SHA-256.

    Of a large file only the words of the texts are kept.

    Raises:
        AffectstreamError: the file cannot be read.
    """
    wanted = set(learn_vocabulary(texts)) if path.suffix.lower() != ".json" else None
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return read_word_vectors(path, wanted), f"{path.name}, sha256 {digest[:12]}"
    except (OSError, ValueError) as error:
        raise AffectstreamError(
            f"{path} holds no word vectors ({error}); name a GloVe file with --vectors"
        ) from error


def _start(vectors: WordVectors, words: int) -> Tensor:
    """Return a table (V, D) of the vectors, with zeros for words that have none."""
    table = np.zeros((words + FIRST_WORD, vectors.table.shape[1]), dtype=np.float32)
    table[: len(vectors.table)] = vectors.table
    return torch.from_numpy(table)


def _put(network: nn.Module, table: Tensor) -> None:
    embedding = next(m for m in network.modules() if isinstance(m, nn.Embedding))
    embedding.load_state_dict(given_embedding(table).state_dict())


def _columns(network: str, name: str, frames: Mapping[str, _Frames]) -> _Frames:
    """Return the columns of an input that a network takes."""
    columns = NETWORKS[network].columns
    if name != "mocap" or columns is None:
        return frames[name]
    return frames[name][..., slice(*columns)]


def _moments(values: _Frames) -> Moments:
    """Return mean and deviation of each column, over the rows that are not all zeros.

    Rows of zeros fill up what is short, or stand for no motion.
    """
    rows = values.reshape(-1, values.shape[-1])
    rows = rows[rows.any(axis=1)].astype(np.float64)
    if not len(rows):
        return [0.0] * values.shape[-1], [1.0] * values.shape[-1]
    sd = rows.std(axis=0)
    sd[sd < _LEAST_SD] = 1.0
    return rows.mean(axis=0).tolist(), sd.tolist()


def _scaled(values: _Frames, moments: Moments) -> _Frames:
    mean, sd = (np.array(each, dtype=np.float32) for each in moments)
    scaled: _Frames = (values - mean) / sd
    scaled[~values.any(axis=-1)] = 0.0
    return scaled
