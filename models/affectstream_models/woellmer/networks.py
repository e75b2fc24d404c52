"""The recurrent networks of Woellmer et al. (2010): an LSTM and a BLSTM over a dialogue.

Knows: functionals of the utterances of a dialogue, in order, and logits for each of them.
Refuses to know: what the functionals are, which were chosen, training, and streams; a BLSTM that
revises its estimates as utterances arrive is in ``context``.

What differs from theirs: the cells have no peepholes, which torch's LSTM lacks. The softmax over
the classes belongs to the loss. Their outputs are read at all utterances, of both speakers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS = 128
NOISE = 0.6


class DialogueLstm(nn.Module):
    """LSTM of 128 cells from utterance to utterance: an estimate knows what came before.

    Args:
        inputs: D, functionals of an utterance, brought to mean 0 and deviation 1.
        classes: C.
        cells: H, of each direction.
        noise: deviation of the Gaussian noise that is added to the inputs in training.
        bidirectional: a second LSTM runs from the end, as ``DialogueBlstm`` has it.

    Raises:
        ValueError: ``noise`` is negative.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        cells: int = CELLS,
        noise: float = NOISE,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if noise < 0:
            raise ValueError(f"a deviation is 0 or more, not {noise}")
        self.noise = noise
        self.lstm = nn.LSTM(inputs, cells, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(cells * (2 if bidirectional else 1), classes)

    def forward(self, functionals: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (B, U, C) of dialogues (B, U, D), zero where the mask is not set.

        Args:
            functionals: (B, U, D); what stands where the mask is not set changes nothing.
            mask: (B, U) bool, set for a dialogue's utterances, which come first; None for all.

        Raises:
            ValueError: a mask of another shape, with no utterance in a dialogue, or with one after
                a gap.
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


class DialogueBlstm(DialogueLstm):
    """BLSTM of 128 and 128 cells: an estimate knows the whole dialogue.

    Args:
        inputs: D, functionals of an utterance, brought to mean 0 and deviation 1.
        classes: C.
        cells: H, of each direction.
        noise: deviation of the Gaussian noise that is added to the inputs in training.

    Raises:
        ValueError: ``noise`` is negative.
    """

    def __init__(
        self, inputs: int, classes: int, *, cells: int = CELLS, noise: float = NOISE
    ) -> None:
        super().__init__(inputs, classes, cells=cells, noise=noise, bidirectional=True)


def _lengths(functionals: Tensor, mask: Tensor) -> Tensor:
    """(B,), utterances of each dialogue, on the cpu, where packing wants them."""
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
