"""The recurrent network of Wöllmer et al. (2010): an LSTM or BLSTM over a dialogue.

Knows: functionals of a dialogue's utterances in order, and logits for each of them.
Refuses to know: what the functionals are, which were selected, training, and streams. (``context``
has a BLSTM that revises its estimates as utterances arrive.)

Unlike theirs, the cells have no peepholes, because torch's LSTM has none. The softmax over the
classes is part of the loss. There is an output for every utterance, of both speakers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

_CELLS = 128
_NOISE = 0.6


class DialogueLstm(nn.Module):
    """An LSTM from utterance to utterance, or a BLSTM.

    An LSTM's estimate depends on the utterance and those before it, a BLSTM's on all of them.

    Args:
        inputs: D, functionals of an utterance, normalised to mean 0 and deviation 1.
        classes: C.
        cells: H, in each direction.
        noise: deviation of the Gaussian noise that is added to the inputs in training.
        bidirectional: whether a second LSTM runs from the end: a BLSTM.

    Raises:
        ValueError: ``noise`` is negative.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        cells: int = _CELLS,
        noise: float = _NOISE,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if noise < 0:
            raise ValueError(f"a deviation is 0 or more, not {noise}")
        self.noise = noise
        self.lstm = nn.LSTM(inputs, cells, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(cells * (2 if bidirectional else 1), classes)

    def forward(self, functionals: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (B, U, C) of B dialogues; 0 where the mask is False.

        Args:
            functionals: (B, U, D); values where the mask is False have no effect.
            mask: (B, U) bool, True for the utterances of a dialogue, which come first; None if all
                dialogues have U.

        Raises:
            ValueError: the mask has another shape or type, or a dialogue has no utterance or a gap
                between them.
        """
        if mask is None:
            mask = torch.ones(functionals.shape[:2], dtype=torch.bool, device=functionals.device)
        lengths = _lengths(functionals, mask)
        if self.training and self.noise:
            functionals = functionals + self.noise * torch.randn_like(functionals)
        packed = pack_padded_sequence(functionals, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=functionals.shape[1]
        )  # (B, U, H)
        logits: Tensor = self.head(states)
        return logits.masked_fill(~mask.unsqueeze(2), 0.0)


def _lengths(functionals: Tensor, mask: Tensor) -> Tensor:
    """Return the numbers of utterances (B,), on the CPU, where torch's packing needs them."""
    if mask.dtype != torch.bool or mask.shape != functionals.shape[:2]:
        raise ValueError(
            f"dialogues {tuple(functionals.shape)} want a mask of bools, "
            f"{tuple(functionals.shape[:2])}, not {mask.dtype} {tuple(mask.shape)}"
        )
    on_cpu = mask.cpu()
    lengths = on_cpu.sum(dim=1)
    if (lengths == 0).any():
        raise ValueError("a dialogue has no utterance")
    if (on_cpu != (torch.arange(mask.shape[1]) < lengths.unsqueeze(1))).any():
        raise ValueError("a dialogue's utterances come first in its mask, without gaps")
    return lengths
