"""Bahdanau's attention, and the LSTM that decodes an encoder's outputs with it.

Knows: Bahdanau, Cho, Bengio (2015), "Neural machine translation by jointly learning to align and
translate", with an LSTM in place of their gated unit.
Refuses to know: what the encoder's inputs are, and classes.

Tripathi and Beigi (2018) write that an attention LSTM follows the encoder. As in the code that they
published, the decoder here takes as many steps as the encoder has outputs, its first state comes
from the encoder's first output, and its outputs at all steps are passed on. Their code differs from
their text in using a gated unit that puts out a softmax over its units. Here it is an LSTM, as in
the text; its output is its state, and its input at each step is the context alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BahdanauAttention(nn.Module):
    """Additive attention: v . tanh(W query + U output), softmax over the outputs.

    Args:
        outputs: E, length of an output of the encoder.
        units: H, length of the decoder's state and of the attention's hidden layer.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(units, units, bias=False)
        self.of_outputs = nn.Linear(outputs, units)
        self.score = nn.Linear(units, 1, bias=False)

    def keys(self, outputs: Tensor) -> Tensor:
        """Return the part of the scores that is the same at every step, (B, T, H)."""
        keys: Tensor = self.of_outputs(outputs)
        return keys

    def forward(self, query: Tensor, keys: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the context (B, E) of one step of the decoder, and its weights (B, T).

        The weights of a row sum to 1; the context is the outputs' mean with these weights.

        Args:
            query: (B, H), the decoder's state before the step.
            keys: (B, T, H), from ``keys(outputs)``.
            outputs: (B, T, E), of the encoder.
        """
        hidden = torch.tanh(self.of_query(query).unsqueeze(1) + keys)  # (B, T, H)
        weights = torch.softmax(self.score(hidden).squeeze(2), dim=1)  # (B, T)
        return torch.bmm(weights.unsqueeze(1), outputs).squeeze(1), weights


class AttentionLstm(nn.Module):
    """A decoder: an LSTM that at each step attends to all outputs of an encoder.

    Args:
        outputs: E, length of an output of the encoder.
        units: H, units of the decoder.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.attention = BahdanauAttention(outputs, units)
        self.first_state = nn.Linear(outputs, units)
        self.cell = nn.LSTMCell(outputs, units)

    def forward(self, outputs: Tensor) -> Tensor:
        """Return the states (B, T, H) of T steps over outputs (B, T, E)."""
        keys = self.attention.keys(outputs)  # (B, T, H)
        state = torch.tanh(self.first_state(outputs[:, 0]))  # (B, H)
        memory = torch.zeros_like(state)
        states = []
        for _ in range(outputs.shape[1]):
            context, _weights = self.attention(state, keys, outputs)  # (B, E)
            state, memory = self.cell(context, (state, memory))
            states.append(state)
        return torch.stack(states, dim=1)


class BidirectionalAttentionLstm(nn.Module):
    """Two decoders; one starts from the encoder's first output, the other from its last.

    Attention does not depend on the order of the outputs, so the two differ only in their first
    states and in their weights.

    Args:
        outputs: E, length of an output of the encoder.
        units: H, units of each decoder.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.there = AttentionLstm(outputs, units)
        self.back = AttentionLstm(outputs, units)

    def forward(self, outputs: Tensor) -> Tensor:
        """Return the states (B, T, 2 H) of both over outputs (B, T, E)."""
        back = self.back(outputs.flip(1)).flip(1)  # (B, T, H)
        return torch.cat((self.there(outputs), back), dim=2)
