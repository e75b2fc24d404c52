"""Writes ``am/final.mdl``: Kaldi's transition model and nnet3 network.

Every phone is one emitting state with a self-loop. Phone 1 is silence; every other phone comes in
the four word positions, which share one output of the network. Transition ids are 2i - 1 for the
self-loop of phone i and 2i for leaving it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from affectstream_tools.build.vosk_tiny.kaldi_writer import KaldiWriter
from affectstream_tools.build.vosk_tiny.training import CONTEXT_FRAMES, AcousticNetwork

_POSITIONS = (("B", "begin"), ("E", "end"), ("I", "internal"), ("S", "singleton"))


@dataclass(frozen=True, slots=True)
class KaldiPhone:
    """A phone in a word position; its Kaldi id is its place in the table plus 1."""

    name: str
    position: str
    output: int


def phone_table(phones: list[str]) -> list[KaldiPhone]:
    """Return Kaldi's phones; ``phones`` has silence first."""
    table = [KaldiPhone(phones[0], "nonword", 0)]
    for output, name in enumerate(phones[1:], 1):
        table += [KaldiPhone(f"{name}_{mark}", word, output) for mark, word in _POSITIONS]
    return table


def acoustic_model(phones: list[str], network: AcousticNetwork) -> bytes:
    """Return the contents of ``am/final.mdl``."""
    writer = KaldiWriter()
    _write_transitions(writer, phone_table(phones))
    _write_network(writer, network)
    writer.tokens("<LeftContext>")
    writer.integers(CONTEXT_FRAMES)
    writer.tokens("<RightContext>")
    writer.integers(CONTEXT_FRAMES)
    writer.tokens("<Priors>")
    writer.vector(network.priors)
    return writer.getvalue()


def _write_transitions(writer: KaldiWriter, table: list[KaldiPhone]) -> None:
    count = len(table)
    writer.tokens("<TransitionModel>", "<Topology>")
    writer.integer_vector(range(1, count + 1))
    writer.integer_vector([-1] + [0] * count)  # phone -> topology entry
    writer.integers(1, 2)  # one entry, of two states
    writer.integers(0, 2)  # the emitting state, with two transitions:
    for target in (0, 1):
        writer.integers(target)
        writer.floats(0.5)
    writer.integers(-1, 0)  # the final state
    writer.tokens("</Topology>", "<Triples>")
    writer.integers(count)
    for index, phone in enumerate(table, 1):
        writer.integers(index, 0, phone.output)
    writer.tokens("</Triples>", "<LogProbs>")
    writer.vector([0.0] + [math.log(0.5)] * (2 * count))
    writer.tokens("</LogProbs>", "</TransitionModel>")


def _write_network(writer: KaldiWriter, network: AcousticNetwork) -> None:
    configuration, components = _configuration(len(network.layers))
    writer.tokens("<Nnet3>")
    writer.text("\n" + "\n".join(configuration) + "\n\n")
    writer.tokens("<NumComponents>")
    writer.integers(len(components))
    width = 0
    for name, layer in components:
        writer.tokens("<ComponentName>", name)
        if layer is None:
            _write_nonlinearity(writer, name, width)
            continue
        weights, biases = network.layers[layer]
        width = len(biases)
        writer.tokens("<FixedAffineComponent>", "<LinearParams>")
        writer.compressed_matrix(weights)
        writer.tokens("<BiasParams>")
        writer.vector(biases)
        writer.tokens("</FixedAffineComponent>")
    writer.tokens("</Nnet3>")


def _configuration(layers: int) -> tuple[list[str], list[tuple[str, int | None]]]:
    """Return nnet3's configuration, and its components each with the layer that has its weights."""
    lines = ["input-node name=input dim=40"]
    components: list[tuple[str, int | None]] = []
    previous = "input"
    for layer in range(layers):
        last = layer == layers - 1
        affine = "output.affine" if last else f"tdnn{layer + 1}.affine"
        after = "output.log-softmax" if last else f"tdnn{layer + 1}.relu"
        lines += [
            f"component-node name={affine} component={affine} "
            f"input={_spliced(previous, layer, last)}",
            f"component-node name={after} component={after} input={affine}",
        ]
        components += [(affine, layer), (after, None)]
        previous = after
    lines.append(f"output-node name=output input={previous} objective=linear")
    return lines, components


def _spliced(node: str, layer: int, last: bool) -> str:
    if last:
        return node
    # The second layer is the one that leaves out two of three frames.
    reaches = {0: (-2, -1, 0, 1, 2), 1: (-1, 0, 1)}
    reach = reaches.get(layer, (-3, 0, 3))
    parts = [f"Offset({node}, {offset})" if offset else node for offset in reach]
    return f"Append({', '.join(parts)})"


def _write_nonlinearity(writer: KaldiWriter, name: str, width: int) -> None:
    kind = "LogSoftmaxComponent" if name.startswith("output") else "RectifiedLinearComponent"
    writer.tokens(f"<{kind}>", "<Dim>")
    writer.integers(width)
    for statistics in ("<ValueAvg>", "<DerivAvg>"):
        writer.tokens(statistics)
        writer.vector([])
    for counter in ("<Count>", "<NumDimsSelfRepaired>", "<NumDimsProcessed>"):
        writer.tokens(counter)
        writer.doubles(0.0)
    writer.tokens(f"</{kind}>")
