"""The motion capture networks of Tripathi and Beigi (2018): head, hand, face, and all three.

Knows: 200 rows of 6, 18, 165 or 189 coordinates in, logits of four classes out.
Refuses to know: markers, frames, and what became of a lost marker.

What the description leaves open: the dense layer after the LSTM of head and hand has 128 units, as
in the published code. All three together are 189 columns in the order face, hand, head.
Convolutions see rows and columns as an image of one channel, and each halves both, rounding up.
Dropout stands before each ReLU of a convolution and around each dense layer, as there. Adadelta for
the LSTMs, Adam for the others.
"""

from __future__ import annotations

from torch import Tensor, nn

from affectstream_models.tripathi.recurrent import StackedLstm

MOCAP_ROWS = 200
FACE_COLUMNS, HAND_COLUMNS, HEAD_COLUMNS = 165, 18, 6
ALL_COLUMNS = FACE_COLUMNS + HAND_COLUMNS + HEAD_COLUMNS
_CLASS_COUNT = 4
MOCAP_DROPOUT = 0.2
FILTERS = (32, 64, 64, 128, 128)


class Convolutions(nn.Module):
    """Conv2d of kernel 3 and stride 2, as many as there are numbers of filters.

    Attributes:
        width: N, numbers that come out.
    """

    def __init__(self, rows: int, columns: int, filters: tuple[int, ...] = FILTERS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((1, *filters), filters, strict=False):
            convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
            layers += [convolution, nn.Dropout(MOCAP_DROPOUT), nn.ReLU()]
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.width = rows * columns * filters[-1]

    def forward(self, mocap: Tensor) -> Tensor:
        """Numbers (B, N) of utterances (B, T, C)."""
        numbers: Tensor = self.layers(mocap.unsqueeze(1))  # of (B, 1, T, C)
        return numbers


class SmallLstm(nn.Module):
    """LSTM 256, dense 128: head 1, hand 1.

    Args:
        columns: C, 6 or 18.
    """

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(columns, 256, batch_first=True)
        self.head = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, _CLASS_COUNT))

    def forward(self, mocap: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, C)."""
        _, (hidden, _) = self.lstm(mocap)  # (1, B, 256)
        logits: Tensor = self.head(hidden[-1])
        return logits


class SmallDense(nn.Module):
    """Dense 256 on all rows in one: head 2, hand 2.

    Args:
        columns: C, 6 or 18.
        rows: T, rows of an utterance.
    """

    def __init__(self, columns: int, rows: int = MOCAP_ROWS) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(rows * columns, 256), nn.ReLU(), nn.Linear(256, _CLASS_COUNT)
        )

    def forward(self, mocap: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, C)."""
        logits: Tensor = self.layers(mocap)
        return logits


class Face1(nn.Module):
    """LSTM 512, LSTM 256, dense 512."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = StackedLstm(FACE_COLUMNS, 512, 256)
        self.head = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, _CLASS_COUNT))

    def forward(self, mocap: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, 165)."""
        logits: Tensor = self.head(self.lstm(mocap))
        return logits


class Face2(nn.Module):
    """Five convolutions of 32, 64, 64, 128, 128 filters, dense 256.

    Args:
        rows: T, rows of an utterance.
    """

    def __init__(self, rows: int = MOCAP_ROWS) -> None:
        super().__init__()
        self.convolutions = Convolutions(rows, FACE_COLUMNS)
        self.head = nn.Sequential(
            nn.Dropout(MOCAP_DROPOUT),
            nn.Linear(self.convolutions.width, 256),
            nn.ReLU(),
            nn.Dropout(MOCAP_DROPOUT),
            nn.Linear(256, _CLASS_COUNT),
        )

    def forward(self, mocap: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, 165)."""
        logits: Tensor = self.head(self.convolutions(mocap))
        return logits


class Face3(nn.Module):
    """Four convolutions of 32, 64, 64, 128 filters, dense 1024, dense 256; combined 3 as well.

    Args:
        rows: T, rows of an utterance.
        columns: C, 165 of the face; combined 3 is the same network on all 189.
    """

    def __init__(self, rows: int = MOCAP_ROWS, columns: int = FACE_COLUMNS) -> None:
        super().__init__()
        self.convolutions = Convolutions(rows, columns, FILTERS[:-1])
        self.head = nn.Sequential(
            nn.Linear(self.convolutions.width, 1024),
            nn.ReLU(),
            nn.Dropout(MOCAP_DROPOUT),
            nn.Linear(1024, 256),
            nn.ReLU(),
            nn.Dropout(MOCAP_DROPOUT),
            nn.Linear(256, _CLASS_COUNT),
        )

    def forward(self, mocap: Tensor) -> Tensor:
        """Logits (B, 4) of utterances (B, T, C)."""
        logits: Tensor = self.head(self.convolutions(mocap))
        return logits
