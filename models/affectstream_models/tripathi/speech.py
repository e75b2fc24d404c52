"""The four speech networks of Tripathi and Beigi (2018).

Knows: 100 rows of 34 short-term descriptors in, logits of four classes out.
Refuses to know: sound, training, and the other modalities.

The paper leaves some things open. Here, utterances shorter than 100 rows end in rows of zeros,
which no network ignores. There is no dropout, as none is stated. The softmax over the four classes
is part of the loss. The LSTMs are trained with Adadelta, the dense network with Adam.
"""

from __future__ import annotations

from torch import Tensor, nn

from affectstream_models.tripathi.attention import AttentionLstm, BidirectionalAttentionLstm
from affectstream_models.tripathi.recurrent import StackedLstm

FRAMES = 100
SPEECH_COLUMNS = 34
CLASS_COUNT = 4


class Speech1(nn.Module):
    """Dense 1024-512-256 on all rows, flattened.

    Args:
        frames: T, rows of an utterance.
    """

    def __init__(self, frames: int = FRAMES) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(frames * SPEECH_COLUMNS, 1024),
            nn.ReLU(),
            nn.Linear(1024, 512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, CLASS_COUNT),
        )

    def forward(self, speech: Tensor) -> Tensor:
        """Return the logits (B, 4) of utterances (B, T, 34)."""
        logits: Tensor = self.layers(speech)
        return logits


class Speech2(nn.Module):
    """LSTM 512, LSTM 256, dense 512."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = StackedLstm(SPEECH_COLUMNS, 512, 256)
        self.head = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, CLASS_COUNT))

    def forward(self, speech: Tensor) -> Tensor:
        """Return the logits (B, 4) of utterances (B, T, 34)."""
        logits: Tensor = self.head(self.lstm(speech))
        return logits


class AttentiveSpeech(nn.Module):
    """LSTM 128 and attention LSTM 128.

    Args:
        bidirectional: both are bidirectional and have 256 outputs in place of 128.

    Attributes:
        width: length of a state that comes out.
    """

    def __init__(self, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.encoder = nn.LSTM(SPEECH_COLUMNS, 128, batch_first=True, bidirectional=bidirectional)
        self.width = 256 if bidirectional else 128
        decoder = BidirectionalAttentionLstm if bidirectional else AttentionLstm
        self.decoder = decoder(self.width, 128)

    def forward(self, speech: Tensor) -> Tensor:
        """Return all states of the attention LSTM, flattened (B, T * width), for (B, T, 34)."""
        states: Tensor = self.decoder(self.encoder(speech)[0])  # (B, T, width)
        return states.flatten(1)


class Speech3(nn.Module):
    """LSTM 128, attention LSTM 128, dense 512.

    Args:
        frames: T, rows of an utterance.
        bidirectional: whether both LSTMs are, as in ``Speech4``.
    """

    def __init__(self, frames: int = FRAMES, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.attentive = AttentiveSpeech(bidirectional=bidirectional)
        width = frames * self.attentive.width
        self.head = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, CLASS_COUNT))

    def forward(self, speech: Tensor) -> Tensor:
        """Return the logits (B, 4) of utterances (B, T, 34)."""
        logits: Tensor = self.head(self.attentive(speech))
        return logits


class Speech4(Speech3):
    """As network 3, with both LSTMs bidirectional.

    Args:
        frames: T, rows of an utterance.
    """

    def __init__(self, frames: int = FRAMES) -> None:
        super().__init__(frames, bidirectional=True)
