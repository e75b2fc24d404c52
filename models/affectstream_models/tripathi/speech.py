"""The four speech networks of Tripathi and Beigi (2018).

Knows: 100 rows of 34 short-term descriptors in, logits of four classes out.
Refuses to know: sound, training, and the other modalities.

What the description leaves open: utterances shorter than 100 rows are filled up with zero rows,
and no network is told which these are, so none ignores them. No dropout is stated, so there is
none. The softmax over four classes belongs to the loss. Adadelta for the LSTMs, Adam for the dense
one.
"""

from __future__ import annotations

from torch import Tensor, nn

from affectstream_models.tripathi.attention import AttentionLstm, BidirectionalAttentionLstm
from affectstream_models.tripathi.recurrent import StackedLstm

FRAMES = 100
SPEECH_COLUMNS = 34
CLASS_COUNT = 4


class Speech1(nn.Module):
    """Dense 1024-512-256 on all rows in one.

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
        """Logits (B, 4) of utterances (B, T, 34)."""
        logits: Tensor = self.layers(speech)
        return logits


class Speech2(nn.Module):
    """LSTM 512, LSTM 256, dense 512."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = StackedLstm(SPEECH_COLUMNS, 512, 256)
        self.head = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, CLASS_COUNT))

    def forward(self, speech: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, 34)."""
        logits: Tensor = self.head(self.lstm(speech))
        return logits


class AttentiveSpeech(nn.Module):
    """LSTM 128 and attention LSTM 128; what comes out is all states of the latter in one.

    Args:
        bidirectional: both run both ways, which makes 256 of each 128.
    """

    def __init__(self, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.encoder = nn.LSTM(SPEECH_COLUMNS, 128, batch_first=True, bidirectional=bidirectional)
        self.width = 256 if bidirectional else 128
        decoder = BidirectionalAttentionLstm if bidirectional else AttentionLstm
        self.decoder = decoder(self.width, 128)

    def forward(self, speech: Tensor) -> Tensor:
        """States (B, T * width) of utterances (B, T, 34)."""
        states: Tensor = self.decoder(self.encoder(speech)[0])  # (B, T, width)
        return states.flatten(1)


class Speech3(nn.Module):
    """LSTM 128, attention LSTM 128, dense 512.

    Args:
        frames: T, rows of an utterance.
        bidirectional: both LSTMs run both ways, as ``Speech4`` has them.
    """

    def __init__(self, frames: int = FRAMES, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.attentive = AttentiveSpeech(bidirectional=bidirectional)
        width = frames * self.attentive.width
        self.head = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, CLASS_COUNT))

    def forward(self, speech: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, 34)."""
        logits: Tensor = self.head(self.attentive(speech))
        return logits


class Speech4(Speech3):
    """As 3, both LSTMs bidirectional.

    Args:
        frames: T, rows of an utterance.
    """

    def __init__(self, frames: int = FRAMES) -> None:
        super().__init__(frames, bidirectional=True)
