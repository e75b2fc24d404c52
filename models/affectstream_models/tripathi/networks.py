"""The networks of Tripathi and Beigi (2018), by name.

Knows: which network is which row of the paper's tables, its inputs, and its optimiser.
Refuses to know: data, training, and results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from affectstream_models.tripathi import combined, mocap, speech, text

NetworkInput = Literal["speech", "tokens", "mocap"]
Optimiser = Literal["adadelta", "adam"]
Embedding = Literal["glove", "learned"]

_FACE = (0, mocap.FACE_COLUMNS)
_HAND = (_FACE[1], _FACE[1] + mocap.HAND_COLUMNS)
_HEAD = (_HAND[1], _HAND[1] + mocap.HEAD_COLUMNS)
_EVERYTHING = (0, mocap.ALL_COLUMNS)


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """The sizes of a network's inputs. The paper's are the defaults.

    Attributes:
        frames: rows of speech.
        length: tokens of a text.
        rows: rows of MoCap.
        vocabulary: V, how many token numbers there are; needed where embeddings are learned.
        vectors: (V, D) float32, word vectors; needed where embeddings start at GloVe's.
    """

    frames: int = speech.FRAMES
    length: int = text.TEXT_TOKENS
    rows: int = mocap.MOCAP_ROWS
    vocabulary: int | None = None
    vectors: Tensor | None = None

    def words(self) -> int:
        """Return the size of the vocabulary.

        Raises:
            ValueError: it was not given.
        """
        if self.vocabulary is None:
            raise ValueError("this network learns its embeddings: say the vocabulary's size")
        return self.vocabulary

    def glove(self) -> Tensor:
        """Return the word vectors.

        Raises:
            ValueError: they were not given.
        """
        if self.vectors is None:
            raise ValueError("this network starts at word vectors: give them")
        return self.vectors


@dataclass(frozen=True, slots=True)
class TripathiNetwork:
    """One network of the paper.

    Attributes:
        make: builds it, with random weights from torch's generator.
        inputs: names of ``forward``'s arguments. Networks with several also take a mask (B, 1) for
            each, as ``<name>_mask``.
        optimiser: the one that the paper used for this kind of network.
        row: its row in the paper's table.
        embedding: whether its word vectors start at GloVe's or are learned; None without text.
        columns: first and end of the 189 MoCap columns (face, hand, head) that it takes.
        ignores_padding: whether its logits do not depend on padding in a text.
    """

    make: Callable[[NetworkSizes], nn.Module]
    inputs: tuple[NetworkInput, ...]
    optimiser: Optimiser
    row: str
    embedding: Embedding | None = None
    columns: tuple[int, int] | None = None
    ignores_padding: bool = False


def optimiser_of(name: Optimiser, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return Adadelta with rate 1 and decay 0.95 (Zeiler 2012), or Adam with rate 0.001.

    The published code names them without rates; these are the defaults of Keras, which it used.
    """
    if name == "adadelta":
        return torch.optim.Adadelta(parameters, lr=1.0, rho=0.95)
    return torch.optim.Adam(parameters, lr=1e-3)


def build_network(name: str, sizes: NetworkSizes | None = None) -> nn.Module:
    """Return a network by its name in ``NETWORKS``.

    Args:
        sizes: of its inputs; None takes the paper's.

    Raises:
        ValueError: there is none of that name, or ``sizes`` lacks the vocabulary or word vectors
            that it needs.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name].make(sizes or NetworkSizes())


def _speech(
    make: Callable[[NetworkSizes], nn.Module], optimiser: Optimiser, row: str
) -> TripathiNetwork:
    return TripathiNetwork(make, ("speech",), optimiser, row)


def _mocap(
    make: Callable[[NetworkSizes], nn.Module],
    optimiser: Optimiser,
    row: str,
    columns: tuple[int, int],
) -> TripathiNetwork:
    return TripathiNetwork(make, ("mocap",), optimiser, row, columns=columns)


def _text(
    make: Callable[[NetworkSizes], nn.Module],
    optimiser: Optimiser,
    row: str,
    embedding: Embedding,
    *,
    ignores_padding: bool,
) -> TripathiNetwork:
    return TripathiNetwork(
        make, ("tokens",), optimiser, row, embedding, ignores_padding=ignores_padding
    )


def _pair(
    make: Callable[[NetworkSizes], nn.Module],
    row: str,
    embedding: Embedding,
    *,
    ignores_padding: bool,
) -> TripathiNetwork:
    inputs: tuple[NetworkInput, ...] = ("speech", "tokens")
    return TripathiNetwork(make, inputs, "adam", row, embedding, ignores_padding=ignores_padding)


def _trio(make: Callable[[NetworkSizes], nn.Module], row: str) -> TripathiNetwork:
    inputs: tuple[NetworkInput, ...] = ("speech", "tokens", "mocap")
    return TripathiNetwork(make, inputs, "adam", row, "glove", _EVERYTHING, ignores_padding=True)


NETWORKS: dict[str, TripathiNetwork] = {
    "speech-1": _speech(lambda s: speech.Speech1(s.frames), "adam", "Speech, model 1"),
    "speech-2": _speech(lambda s: speech.Speech2(), "adadelta", "Speech, model 2"),
    "speech-3": _speech(lambda s: speech.Speech3(s.frames), "adadelta", "Speech, model 3"),
    "speech-4": _speech(lambda s: speech.Speech4(s.frames), "adadelta", "Speech, model 4"),
    "text-1": _text(
        lambda s: text.Text1(s.glove(), s.length),
        "adam",
        "Text, model 1",
        "glove",
        ignores_padding=False,
    ),
    "text-2": _text(
        lambda s: text.Text2(s.glove()),
        "adadelta",
        "Text, model 2",
        "glove",
        ignores_padding=True,
    ),
    "text-3": _text(
        lambda s: text.Text3(s.words()),
        "adadelta",
        "Text, model 3",
        "learned",
        ignores_padding=True,
    ),
    "mocap-head-1": _mocap(
        lambda s: mocap.SmallLstm(mocap.HEAD_COLUMNS), "adadelta", "MoCap head, model 1", _HEAD
    ),
    "mocap-head-2": _mocap(
        lambda s: mocap.SmallDense(mocap.HEAD_COLUMNS, s.rows), "adam", "MoCap head, model 2", _HEAD
    ),
    "mocap-hand-1": _mocap(
        lambda s: mocap.SmallLstm(mocap.HAND_COLUMNS), "adadelta", "MoCap hand, model 1", _HAND
    ),
    "mocap-hand-2": _mocap(
        lambda s: mocap.SmallDense(mocap.HAND_COLUMNS, s.rows), "adam", "MoCap hand, model 2", _HAND
    ),
    "mocap-face-1": _mocap(lambda s: mocap.Face1(), "adadelta", "MoCap face, model 1", _FACE),
    "mocap-face-2": _mocap(lambda s: mocap.Face2(s.rows), "adam", "MoCap face, model 2", _FACE),
    "mocap-face-3": _mocap(lambda s: mocap.Face3(s.rows), "adam", "MoCap face, model 3", _FACE),
    "mocap-combined-3": _mocap(
        lambda s: mocap.Face3(s.rows, mocap.ALL_COLUMNS),
        "adam",
        "MoCap combined, model 3",
        _EVERYTHING,
    ),
    "text-speech-1": _pair(
        lambda s: combined.TextSpeech1(s.words(), s.frames, s.length),
        "Text + speech, model 1",
        "learned",
        ignores_padding=False,
    ),
    "text-speech-2": _pair(
        lambda s: combined.TextSpeech2(s.words(), s.frames),
        "Text + speech, model 2",
        "learned",
        ignores_padding=True,
    ),
    "text-speech-3": _pair(
        lambda s: combined.TextSpeech3(s.glove(), s.frames),
        "Text + speech, model 3",
        "glove",
        ignores_padding=True,
    ),
    "text-speech-mocap-4": _trio(
        lambda s: combined.TextSpeechMocap4(s.glove(), s.frames, s.rows),
        "Text + speech + MoCap, model 4",
    ),
    "text-speech-mocap-5": _trio(
        lambda s: combined.TextSpeechMocap5(s.glove(), s.frames),
        "Text + speech + MoCap, model 5",
    ),
    "text-speech-mocap-6": _trio(
        lambda s: combined.TextSpeechMocap6(s.glove(), s.frames, s.rows),
        "Text + speech + MoCap, model 6",
    ),
}
