"""Fuzzes the readers of checkpoints and of deployment files."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from typer.main import get_command

from affectstream.commands.app import app, refusal
from affectstream.run.deployment import DeploymentReader
from affectstream.timebase import NS_PER_S
from affectstream_tools.trials.fuzzing.runs import FuzzCase
from affectstream_tools.trials.fuzzing.spoiling import spoiled_bytes, spoiled_text
from affectstream_tools.trials.fuzzing.targets.files import FileTarget

_START_NS = 1_700_000_000 * NS_PER_S
_DEPLOYMENT = """\
address = "tcp://127.0.0.1:5570"
journal = "node.journal"

[limits]
memory_mib = 2000

[[worker]]
kind = "fusion"
name = "fusion"
options = { hub = true, look-ahead = "8" }

[[worker]]
kind = "play"
name = "anna"
options = { path = "dialogue.wav", speaker = "anna", channel = 0, speed = 1.0 }
restart = { first_wait_s = 0.5, longest_wait_s = 30.0, when = "always" }

[[worker]]
kind = "mocap"
name = "faces"
options = { paths = ["anna.csv", "ben.csv"] }
"""


class CheckpointTarget(FileTarget):
    """The reader of checkpoints: header, metadata and tensors."""

    def __init__(self) -> None:
        super().__init__()
        self._good = self._checkpoint()  # imports torch, which is not what is timed
        self.give([self._good])

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield a small checkpoint, most of whose header is spoiled."""
        data = self._good
        head = 8 + int.from_bytes(data[:8], "little")
        while True:
            kind = random.randrange(4)
            if kind == 0:
                yield [spoiled_bytes(data, random)]
            elif kind == 1:
                yield [spoiled_bytes(data[:head], random) + data[head:]]
            else:
                text = spoiled_text(data[8:head].decode().replace(", ", ",\n"), random)
                yield [len(text).to_bytes(8, "little") + text + data[head:]]

    def _checkpoint(self) -> bytes:
        from affectstream_models.context.checkpoints import save_context_model
        from affectstream_models.context.network import ContextConfig, ContextNetwork

        sizes: dict[str, Any] = {"ngram_dim": 4, "text_dim": 4, "evidence_dim": 2, "encoder_dim": 4}
        sizes |= {"fused_dim": 4, "hidden_dim": 4, "head_dim": 4, "word_dim": 4}
        network = ContextNetwork(ContextConfig(ngrams=8, words=4, **sizes))
        save_context_model(network, self.folder / "good", id="fuzz", look_ahead=2, trained={})
        return (self.folder / "good").read_bytes()

    def read(self, case: FuzzCase) -> None:
        """Load it as the node does."""
        from affectstream.fusion.pretrained import PretrainedModel

        path = self.folder / "spoiled.safetensors"
        path.write_bytes(case[0])
        PretrainedModel(path)


class DeploymentTarget(FileTarget):
    """``DeploymentReader``: the file of ``affectstream run``, and its workers' options."""

    def __init__(self) -> None:
        super().__init__()
        self._commands = getattr(get_command(app), "commands", {})

    def cases(self, random: Random) -> Iterator[FuzzCase]:
        """Yield a deployment, spoiled."""
        while True:
            yield [spoiled_text(_DEPLOYMENT, random)]

    def read(self, case: FuzzCase) -> None:
        """Plan its workers."""
        path = self.folder / "deployment.toml"
        path.write_bytes(case[0])
        DeploymentReader(path, self._commands, refusal()).plan("here", _START_NS)
