"""The three text networks of Tripathi and Beigi (2018).

Knows: 500 token numbers in, logits of four classes out; number 0 is padding.
Refuses to know: which word has which number, and files of word vectors.

The paper leaves some things open. Here:

- GloVe's vectors are not frozen; training starts from them, as in the published code. The vector of
  padding is zeros and stays so.
- The recurrent networks skip padding wherever it stands. So they take a few steps instead of 500,
  and the same words always give the same logits. A text without any word is one step of zeros.
- The convolutional network depends on where in the 500 places the words stand, because its outputs
  are flattened; padding is vectors of zeros to it. Its convolutions keep the length. Dropout stands
  before each ReLU and before and after the dense layer, as in the published code.
- The LSTMs are trained with Adadelta, the convolutions with Adam.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from affectstream_models.tripathi.recurrent import StackedLstm

TEXT_TOKENS = 500
PADDING = 0
LEARNED_DIM = 128
_CLASS_COUNT = 4
_DROPOUT = 0.2


def given_embedding(vectors: Tensor) -> nn.Embedding:
    """Return a trainable table that starts as a copy of word vectors (V, D).

    Raises:
        ValueError: the vectors are not (V, D).
    """
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"word vectors must be (V, D), not {tuple(vectors.shape)}")
    embedding = nn.Embedding(len(vectors), vectors.shape[1], padding_idx=PADDING)
    with torch.no_grad():
        embedding.weight.copy_(vectors)
        embedding.weight[PADDING] = 0.0
    return embedding


def learned_embedding(vocabulary: int) -> nn.Embedding:
    """Return a trainable table (V, 128) that starts at random."""
    return nn.Embedding(vocabulary, LEARNED_DIM, padding_idx=PADDING)


class RecurrentText(nn.Module):
    """Two stacked LSTMs over the words of a text, without its padding.

    Args:
        embedding: (V, D), from ``given_embedding`` or ``learned_embedding``.
        lower: units of the first LSTM.
        upper: U, units of the second.
    """

    def __init__(self, embedding: nn.Embedding, lower: int, upper: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.lstm = StackedLstm(embedding.embedding_dim, lower, upper)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the upper LSTM's last outputs (B, U) for texts (B, T) int64, of any T."""
        word = tokens != PADDING  # (B, T)
        lengths = word.sum(dim=1).clamp(min=1)  # (B,)
        # A stable sort moves the words to the front and keeps their order.
        order = torch.argsort((~word).to(torch.int8), dim=1, stable=True)
        words = tokens.gather(1, order)[:, : int(lengths.max())]  # (B, W)
        vectors = self.embedding(words)  # (B, W, D)
        packed = pack_padded_sequence(
            vectors, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        last: Tensor = self.lstm(packed)
        return last


def _convolution(inputs: int, filters: int) -> list[nn.Module]:
    return [nn.Conv1d(inputs, filters, 3, padding=1), nn.Dropout(_DROPOUT), nn.ReLU()]


class Text1(nn.Module):
    """Four Conv1d of kernel 3 with 256, 128, 64, 32 filters, dense 256; GloVe.

    Args:
        vectors: (V, D), word vectors at which the embedding starts.
        length: T, tokens of a text.
    """

    def __init__(self, vectors: Tensor, length: int = TEXT_TOKENS) -> None:
        super().__init__()
        self.embedding = given_embedding(vectors)
        self.layers = nn.Sequential(
            *_convolution(self.embedding.embedding_dim, 256),
            *_convolution(256, 128),
            *_convolution(128, 64),
            *_convolution(64, 32),
            nn.Flatten(),
            nn.Dropout(_DROPOUT),
            nn.Linear(length * 32, 256),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(256, _CLASS_COUNT),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (B, 4) of texts (B, T) int64."""
        vectors = self.embedding(tokens)  # (B, T, D)
        logits: Tensor = self.layers(vectors.transpose(1, 2))
        return logits


class _RecurrentClassifier(nn.Module):
    """LSTM 512, LSTM 256, dense 512, with a given or a learned embedding."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.text = RecurrentText(embedding, 512, 256)
        self.head = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, _CLASS_COUNT))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (B, 4) of texts (B, T) int64, of any T."""
        logits: Tensor = self.head(self.text(tokens))
        return logits


class Text2(_RecurrentClassifier):
    """LSTM 512, LSTM 256, dense 512; GloVe.

    Args:
        vectors: (V, D), word vectors at which the embedding starts.
    """

    def __init__(self, vectors: Tensor) -> None:
        super().__init__(given_embedding(vectors))


class Text3(_RecurrentClassifier):
    """As network 2, with learned embeddings of 128 numbers.

    Args:
        vocabulary: V, how many token numbers there are, padding and unknown included.
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__(learned_embedding(vocabulary))
