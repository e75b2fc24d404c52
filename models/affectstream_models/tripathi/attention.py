"""Bahdanau's attention, and the LSTM that decodes an encoder's outputs through it.

Knows: Bahdanau, Cho, Bengio (2015), "Neural machine translation by jointly learning to align and
translate", with an LSTM in place of their gated unit.
Refuses to know: what the encoder listens to, and classes.

Of the networks of Tripathi and Beigi (2018) it is told that an attention LSTM follows the encoder.
As in the code they published, it takes as many steps as the encoder has outputs, its first state
comes from the encoder's first output, and whatever follows sees its outputs of all steps. Theirs is
a gated unit that puts out a softmax over its units; here, an LSTM as told, whose output is its
state, so that its input at a step is the context alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BahdanauAttention(nn.Module):
    """Additive attention: v . tanh(W query + U output), softmax over the outputs.

    Args:
        outputs: E, numbers in an output of the encoder.
        units: H, numbers in the decoder's state, and in the attention's hidden layer.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(units, units, bias=False)
        self.of_outputs = nn.Linear(outputs, units)
        self.score = nn.Linear(units, 1, bias=False)

    def keys(self, outputs: Tensor) -> Tensor:
        """The part (B, T, H) of the scores that is the same at every step."""
        keys: Tensor = self.of_outputs(outputs)
        return keys

    def forward(self, query: Tensor, keys: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The context and the weights of one step of the decoder.

        Args:
            query: (B, H), the decoder's state before the step.
            keys: (B, T, H), of ``keys(outputs)``.
            outputs: (B, T, E), of the encoder.

        Returns:
            The context (B, E), and the weights (B, T) that sum to one over T.
        """
        hidden = torch.tanh(self.of_query(query).unsqueeze(1) + keys)  # (B, T, H)
        weights = torch.softmax(self.score(hidden).squeeze(2), dim=1)  # (B, T)
        return torch.bmm(weights.unsqueeze(1), outputs).squeeze(1), weights


class AttentionLstm(nn.Module):
    """An LSTM that at each step looks at all outputs of an encoder.

    Args:
        outputs: E, numbers in an output of the encoder.
        units: H, units of the decoder.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.attention = BahdanauAttention(outputs, units)
        self.first_state = nn.Linear(outputs, units)
        self.cell = nn.LSTMCell(outputs, units)

    def forward(self, outputs: Tensor) -> Tensor:
        """States (B, T, H) of T steps over outputs (B, T, E)."""
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
    """Two such decoders, from the encoder's first output and from its last.

    The order of the outputs means nothing to the attention, so the way back differs from the way
    there in where it starts, and in its own weights.

    Args:
        outputs: E, numbers in an output of the encoder.
        units: H, units of each decoder.
    """

    def __init__(self, outputs: int, units: int) -> None:
        super().__init__()
        self.there = AttentionLstm(outputs, units)
        self.back = AttentionLstm(outputs, units)

    def forward(self, outputs: Tensor) -> Tensor:
        """States (B, T, 2 H) over outputs (B, T, E)."""
        back = self.back(outputs.flip(1)).flip(1)  # (B, T, H)
        return torch.cat((self.there(outputs), back), dim=2)
