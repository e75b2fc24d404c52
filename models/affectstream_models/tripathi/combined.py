"""The combined networks of Tripathi and Beigi (2018): text + speech 1-3, and with MoCap 4-6.

Knows: how each modality becomes 256 numbers, and how these become logits of four classes.
Refuses to know: where the modalities come from, and why one is missing.

Each modality's branch ends in 256 numbers after a ReLU. They are concatenated; then follow dense
256, ReLU, dropout 0.2, and four outputs. A branch is multiplied by a mask (B, 1): 1 where its
modality is present, 0 where it is missing. The numbers of a missing input have no effect but must
be finite.

The paper leaves some things open. Here:

- Network 1 flattens its text and learns embeddings of 128 numbers, as network 2 does. With GloVe's
  300, its first layer would have 150 million weights.
- Network 5 has MoCap model 1 for all 189 columns: the face's LSTM 512 and LSTM 256, then dense 256.
- Dropout is only where the paper states it: after the concatenation, and in MoCap model 2.
- All six are trained with Adam, as in the published code, although most have an LSTM.
- Padding is treated as in ``text``: network 1 depends on where the words stand, 2 to 6 do not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from affectstream_models.tripathi.mocap import ALL_COLUMNS, MOCAP_DROPOUT, MOCAP_ROWS, Convolutions
from affectstream_models.tripathi.recurrent import StackedLstm
from affectstream_models.tripathi.speech import CLASS_COUNT, FRAMES, SPEECH_COLUMNS, AttentiveSpeech
from affectstream_models.tripathi.text import (
    LEARNED_DIM,
    TEXT_TOKENS,
    RecurrentText,
    given_embedding,
    learned_embedding,
)

_BRANCH = 256


def _ended(encoder: nn.Module, width: int) -> nn.Sequential:
    """Return a branch: an encoder of ``width`` outputs, then dense 256."""
    return nn.Sequential(encoder, nn.Linear(width, _BRANCH), nn.ReLU())


def _dense(inputs: int, *widths: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers)


def _recurrent_text(embedding: nn.Embedding) -> nn.Sequential:
    return _ended(RecurrentText(embedding, 256, 256), 256)


def _joint(branches: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(branches * _BRANCH, 256),
        nn.ReLU(),
        nn.Dropout(MOCAP_DROPOUT),
        nn.Linear(256, CLASS_COUNT),
    )


def _spoken(frames: int) -> nn.Sequential:
    """Return the branch of speech: dense 1024-256 on all its rows, flattened."""
    return _dense(frames * SPEECH_COLUMNS, 1024, _BRANCH)


def _convolved(rows: int) -> nn.Sequential:
    """Return the branch of MoCap model 2: five convolutions, dense 256."""
    convolutions = Convolutions(rows, ALL_COLUMNS)
    return _ended(convolutions, convolutions.width)


def _masked(branch: Tensor, mask: Tensor | None) -> Tensor:
    return branch if mask is None else branch * mask


class _TextSpeech(nn.Module):
    """Two branches, concatenated."""

    def __init__(self, text: nn.Module, speech: nn.Module) -> None:
        super().__init__()
        self.text = text
        self.speech = speech
        self.joint = _joint(2)

    def forward(
        self,
        speech: Tensor,
        tokens: Tensor,
        *,
        speech_mask: Tensor | None = None,
        tokens_mask: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, 4).

        Args:
            speech: (B, T, 34).
            tokens: (B, N) int64.
            speech_mask, tokens_mask: (B, 1); None where the modality is present everywhere.
        """
        branches = (
            _masked(self.text(tokens), tokens_mask),  # (B, 256)
            _masked(self.speech(speech), speech_mask),
        )
        logits: Tensor = self.joint(torch.cat(branches, dim=1))
        return logits


class _TextSpeechMocap(nn.Module):
    """Three branches, concatenated."""

    def __init__(self, text: nn.Module, speech: nn.Module, mocap: nn.Module) -> None:
        super().__init__()
        self.text = text
        self.speech = speech
        self.mocap = mocap
        self.joint = _joint(3)

    def forward(
        self,
        speech: Tensor,
        tokens: Tensor,
        mocap: Tensor,
        *,
        speech_mask: Tensor | None = None,
        tokens_mask: Tensor | None = None,
        mocap_mask: Tensor | None = None,
    ) -> Tensor:
        """Return logits (B, 4).

        Args:
            speech: (B, T, 34).
            tokens: (B, N) int64.
            mocap: (B, R, 189).
            speech_mask, tokens_mask, mocap_mask: (B, 1); None where the modality is present
                everywhere.
        """
        branches = (
            _masked(self.text(tokens), tokens_mask),  # (B, 256)
            _masked(self.speech(speech), speech_mask),
            _masked(self.mocap(mocap), mocap_mask),
        )
        logits: Tensor = self.joint(torch.cat(branches, dim=1))
        return logits


class TextSpeech1(_TextSpeech):
    """Text and speech: dense 1024-512-256 on each.

    Args:
        vocabulary: V, how many token numbers there are, padding and unknown included.
        frames: T, rows of speech.
        length: N, tokens of a text.
    """

    def __init__(self, vocabulary: int, frames: int = FRAMES, length: int = TEXT_TOKENS) -> None:
        embedding = learned_embedding(vocabulary)
        text = nn.Sequential(embedding, _dense(length * LEARNED_DIM, 1024, 512, _BRANCH))
        super().__init__(text, _dense(frames * SPEECH_COLUMNS, 1024, 512, _BRANCH))


class TextSpeech2(_TextSpeech):
    """Text: two LSTM 256, dense 256, learned embeddings. Speech: dense 1024-256.

    Args:
        vocabulary: V, how many token numbers there are, padding and unknown included.
        frames: T, rows of speech.
    """

    def __init__(self, vocabulary: int, frames: int = FRAMES) -> None:
        text = _recurrent_text(learned_embedding(vocabulary))
        super().__init__(text, _spoken(frames))


class TextSpeech3(_TextSpeech):
    """As network 2, with GloVe.

    Args:
        vectors: (V, D), word vectors at which the embedding starts.
        frames: T, rows of speech.
    """

    def __init__(self, vectors: Tensor, frames: int = FRAMES) -> None:
        text = _recurrent_text(given_embedding(vectors))
        super().__init__(text, _spoken(frames))


class TextSpeechMocap4(_TextSpeechMocap):
    """As network 3, and MoCap model 2: five convolutions, dense 256.

    Args:
        vectors: (V, D), word vectors at which the embedding starts.
        frames: T, rows of speech.
        rows: R, rows of MoCap.
    """

    def __init__(self, vectors: Tensor, frames: int = FRAMES, rows: int = MOCAP_ROWS) -> None:
        text = _recurrent_text(given_embedding(vectors))
        speech = _spoken(frames)
        super().__init__(text, speech, _convolved(rows))


class TextSpeechMocap5(_TextSpeechMocap):
    """As network 3, and MoCap model 1: LSTM 512, LSTM 256, dense 256.

    Args:
        vectors: (V, D), word vectors at which the embedding starts.
        frames: T, rows of speech.
    """

    def __init__(self, vectors: Tensor, frames: int = FRAMES) -> None:
        text = _recurrent_text(given_embedding(vectors))
        speech = _spoken(frames)
        super().__init__(text, speech, _ended(StackedLstm(ALL_COLUMNS, 512, 256), 256))


class TextSpeechMocap6(_TextSpeechMocap):
    """As network 4, with speech through LSTM 128, attention LSTM 128, dense 256.

    Args:
        vectors: (V, D), word vectors at which the embedding starts.
        frames: T, rows of speech.
        rows: R, rows of MoCap.
    """

    def __init__(self, vectors: Tensor, frames: int = FRAMES, rows: int = MOCAP_ROWS) -> None:
        text = _recurrent_text(given_embedding(vectors))
        attentive = AttentiveSpeech()
        speech = _ended(attentive, frames * attentive.width)
        super().__init__(text, speech, _convolved(rows))
