"""The motion-capture networks of Tripathi and Beigi (2018): head, hand, face, and all three.

Knows: 200 rows of 6, 18, 165 or 189 coordinates in, logits of four classes out.
Refuses to know: markers, frames, and what replaces a lost marker.

The paper leaves some things open. Here, as in the published code, the dense layer after the LSTM of
head and hand has 128 units, and dropout stands before the ReLU of each convolution and before and
after each dense layer. All three together are 189 columns in the order face, hand, head. A
convolution sees rows and columns as an image of one channel and halves both, rounding up. The LSTMs
are trained with Adadelta, the others with Adam.
"""

from __future__ import annotations

from torch import Tensor, nn

from affectstream_models.tripathi.recurrent import StackedLstm

MOCAP_ROWS = 200
FACE_COLUMNS, HAND_COLUMNS, HEAD_COLUMNS = 165, 18, 6
ALL_COLUMNS = FACE_COLUMNS + HAND_COLUMNS + HEAD_COLUMNS
_CLASS_COUNT = 4
MOCAP_DROPOUT = 0.2
_FILTERS = (32, 64, 64, 128, 128)


class Convolutions(nn.Module):
    """Layers of Conv2d with kernel 3 and stride 2.

    Args:
        rows, columns: T and C, size of the input.
        filters: of each layer.

    Attributes:
        width: N, numbers that come out for an utterance.
    """

    def __init__(self, rows: int, columns: int, filters: tuple[int, ...] = _FILTERS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((1, *filters), filters, strict=False):
            convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
            layers += [convolution, nn.Dropout(MOCAP_DROPOUT), nn.ReLU()]
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.width = rows * columns * filters[-1]

    def forward(self, mocap: Tensor) -> Tensor:
        """Return the outputs (B, N) for utterances (B, T, C)."""
        numbers: Tensor = self.layers(mocap.unsqueeze(1))  # (B, 1, T, C) -> (B, N)
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
        """Return the logits (B, 4) of utterances (B, T, C)."""
        _, (hidden, _) = self.lstm(mocap)  # (1, B, 256)
        logits: Tensor = self.head(hidden[-1])
        return logits


class SmallDense(nn.Module):
    """Dense 256 on all rows, flattened: head 2, hand 2.

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
        """Return the logits (B, 4) of utterances (B, T, C)."""
        logits: Tensor = self.layers(mocap)
        return logits


class Face1(nn.Module):
    """LSTM 512, LSTM 256, dense 512."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = StackedLstm(FACE_COLUMNS, 512, 256)
        self.head = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, _CLASS_COUNT))

    def forward(self, mocap: Tensor) -> Tensor:
        """Return the logits (B, 4) of utterances (B, T, 165)."""
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
        """Return the logits (B, 4) of utterances (B, T, 165)."""
        logits: Tensor = self.head(self.convolutions(mocap))
        return logits


class Face3(nn.Module):
    """Four convolutions of 32, 64, 64, 128 filters, dense 1024, dense 256.

    Args:
        rows: T, rows of an utterance.
        columns: C: 165 of the face, or all 189 for the paper's combined model 3.
    """

    def __init__(self, rows: int = MOCAP_ROWS, columns: int = FACE_COLUMNS) -> None:
        super().__init__()
        self.convolutions = Convolutions(rows, columns, _FILTERS[:-1])
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
        """Return the logits (B, 4) of utterances (B, T, C)."""
        logits: Tensor = self.head(self.convolutions(mocap))
        return logits
