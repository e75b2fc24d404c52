"""Writes the folder that libvosk reads: network, graph, word list, and the decoder's options."""

from __future__ import annotations

from pathlib import Path

from affectstream_tools.build.vosk_tiny.acoustic_model import acoustic_model, phone_table
from affectstream_tools.build.vosk_tiny.data import TrainingData
from affectstream_tools.build.vosk_tiny.graph import build_graph, word_ids
from affectstream_tools.build.vosk_tiny.training import AcousticNetwork

_MFCC = """\
--sample-frequency=16000
--use-energy=false
--num-mel-bins=40
--num-ceps=40
--low-freq=20
--high-freq=7600
--dither=0
--allow-upsample=true
--allow-downsample=true
"""

# acoustic-scale: a network trained on cross-entropy, unlike the usual chain models, wants less
# than 1. frames-per-chunk: small, so that partial results come early. rule2.max-relative-cost:
# the default never lets this model's utterances end.
_DECODER = """\
--min-active=200
--max-active=3000
--beam=13.0
--lattice-beam=6.0
--acoustic-scale=0.6
--frame-subsampling-factor=3
--frames-per-chunk=12
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
--endpoint.rule2.max-relative-cost=8.0
--endpoint.rule3.min-trailing-silence=0.75
--endpoint.rule4.min-trailing-silence=1.0
"""


def write_model(folder: Path, data: TrainingData, network: AcousticNetwork) -> int:
    """Write the model into ``folder`` and return its size in bytes."""
    words = word_ids(data.vocabulary)
    positions = [phone.position for phone in phone_table(data.phones)]
    contents: dict[str, bytes] = {
        "am/final.mdl": acoustic_model(data.phones, network),
        "graph/HCLG.fst": build_graph(data).to_bytes(),
        "graph/words.txt": "".join(f"{word} {i}\n" for word, i in words.items()).encode(),
        "graph/phones/word_boundary.int": "".join(
            f"{index} {position}\n" for index, position in enumerate(positions, 1)
        ).encode(),
        "conf/mfcc.conf": _MFCC.encode(),
        "conf/model.conf": _DECODER.encode(),
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sum(len(content) for content in contents.values())
