"""Two stacked LSTMs, with which most networks of Tripathi and Beigi (2018) begin.

Knows: sequences in, the last output out.
Refuses to know: what the sequences are, and classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


class StackedLstm(nn.Module):
    """An LSTM over the outputs of another one.

    Args:
        inputs: D, numbers in a step.
        lower: units of the first LSTM.
        upper: U, units of the second.
    """

    def __init__(self, inputs: int, lower: int, upper: int) -> None:
        super().__init__()
        self.lower = nn.LSTM(inputs, lower, batch_first=True)
        self.upper = nn.LSTM(lower, upper, batch_first=True)

    def forward(self, sequences: Tensor | PackedSequence) -> Tensor:
        """Return the upper LSTM's last outputs (B, U) for sequences (B, T, D).

        A packed sequence ends where its own length says.
        """
        _, (hidden, _) = self.upper(self.lower(sequences)[0])  # (1, B, U)
        last: Tensor = hidden[-1]
        return last
