"""Bad input end to end: a live node goes on, a command says in one sentence what is wrong."""

from __future__ import annotations

import itertools
import sys
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
import zmq

from affectstream.bus import Hub, Inlet, ports
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES
from affectstream.data import demo_folder
from affectstream.messages import Emotion, Gap, Observation, StreamClosed, UtteranceEnded
from affectstream.run.processes import Processes, free_address
from affectstream_tools.bench.load import DialogueLoad
from command_lines import DEADLINE_S, Publisher, estimates, read_until, run, started

numbers = itertools.count()


class Node:
    """A fusion node in a process of its own, and what it wrote to its standard error."""

    def __init__(self, address: str, words: Path) -> None:
        self.address, self._words = address, words

    @property
    def words(self) -> str:
        return self._words.read_text(encoding="utf-8")

    def answers(self) -> list[Emotion]:
        """Say something good; return the estimates of it."""
        load = DialogueLoad(f"good-{next(numbers)}", seed=1)
        now_ns = WallClock().now_ns()
        inlet = Inlet(self.address, [f"emotion/{load.session}/"], from_start=True)
        try:
            with Publisher(self.address) as publisher:
                publisher.publish(*load.opening(now_ns), *load.utterance(now_ns + 10**9))
                got = read_until(inlet, lambda got: bool(got))
        finally:
            inlet.close()
        return estimates(got, "anna-00000")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    address, words = free_address(), tmp_path_factory.mktemp("node") / "words.txt"
    command = (sys.executable, "-m", "affectstream", "fusion", "--address", address)
    with words.open("w") as file, started(*command, stderr=file) as process:
        with Processes() as processes:
            processes.wait_for_hub(address)
        running = Node(address, words)
        assert running.answers()
        yield running
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    assert "Traceback" not in running.words


def frames(kind: str = "progress", payload: bytes = b"", **fields: Any) -> list[bytes]:
    header = {
        "v": 1,
        "kind": kind,
        "session": "bad",
        "source": "mic.bad",
        "epoch": 1,
        "seq": 0,
        "sent_ns": 0,
        "watermark_ns": 0,
        "heads": {},
    }
    return [f"{kind}/bad/mic.bad".encode(), msgpack.packb(header | fields), payload]


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else 0


TOPIC = b"progress/bad/mic.bad"
BAD = {
    "not MessagePack": [TOPIC, b"\xc1\xc1 no", b""],
    "not MessagePack: a list": [TOPIC, msgpack.packb([1, 2]), b""],
    "version": frames(v=2),
    "version: none": frames(v=None),
    "too large: header": frames(more="x" * (MAX_HEADER_BYTES + 1)),
    "too large: payload": frames(payload=bytes(MAX_PAYLOAD_BYTES + 1)),
    "too large: depth": frames(more=nested(200)),
    "unknown kind": frames(kind="stream.telepathy"),
    "field": frames(watermark_ns="soon"),
    "field: negative": frames(watermark_ns=-1),
    "topic": [b"progress/bad/somebody", *frames()[1:]],
    "payload": frames(payload=b"progress carries none"),
    "frames": [TOPIC, b"", b"", b""],
    "frames: one": [TOPIC],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_message_is_counted_by_name_and_the_node_goes_on(name: str, node: Node) -> None:
    reason = name.partition(":")[0]
    before = node.words.count(f"dropped a message, {reason}:")
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.connect(ports(node.address)[1])
        assert socket.poll(1000 * int(DEADLINE_S)), "the hub passes subscriptions on"
        while socket.poll(100):
            socket.recv()
        socket.send_multipart(BAD[name])
        assert node.answers()[0].status in ("provisional", "revised")
    known = node.words.count(f"dropped a message, {reason}:")
    assert known == before + 1 or before > 0, "said the first time; then every tenth"


def test_statistics_that_are_not_finite_are_refused_and_the_rest_is_estimated(node: Node) -> None:
    load = DialogueLoad(f"nan-{next(numbers)}", seed=2)
    now_ns = WallClock().now_ns()
    messages = [*load.opening(now_ns), *load.utterance(now_ns + 10**9)]
    bad = np.full(47, np.nan, dtype="<f4").tobytes()
    messages = [
        msgspec.structs.replace(m, payload=bad) if isinstance(m, Observation) else m
        for m in messages
    ]
    inlet = Inlet(
        node.address, [f"emotion/{load.session}/", f"gap/{load.session}/"], from_start=True
    )
    try:
        with Publisher(node.address) as publisher:
            publisher.publish(*messages)
            got = read_until(inlet, lambda got: bool(estimates(got, "anna-00000")))
    finally:
        inlet.close()
    assert list(estimates(got, "anna-00000")[0].modalities) == ["text"]
    assert "not finite" in node.words
    gaps = [m for m in got if isinstance(m, Gap)]
    assert [(gap.lost, gap.count) for gap in gaps] == [("observation", 1)]


def test_features_that_the_model_does_not_read_are_named_in_a_gap(node: Node) -> None:
    load = DialogueLoad(f"odd-{next(numbers)}", seed=3)
    now_ns = WallClock().now_ns()
    messages = [
        msgspec.structs.replace(m, front_end="homemade") if isinstance(m, Observation) else m
        for m in [*load.opening(now_ns), *load.utterance(now_ns + 10**9)]
    ]
    prefixes = [f"emotion/{load.session}/", f"gap/{load.session}/"]
    inlet = Inlet(node.address, prefixes, from_start=True)
    try:
        with Publisher(node.address) as publisher:
            publisher.publish(*messages)
            got = read_until(inlet, lambda got: bool(estimates(got, "anna-00000")))
    finally:
        inlet.close()
    assert [m.lost for m in got if isinstance(m, Gap)] == ["observation"]


def test_a_subscriber_that_has_stalled_holds_nobody_up(node: Node) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as stalled:
        stalled.setsockopt(zmq.RCVHWM, 1)
        stalled.connect(node.address)
        stalled.subscribe(b"")
        load = DialogueLoad(f"busy-{next(numbers)}", seed=4)
        now_ns = WallClock().now_ns()
        with Publisher(node.address) as publisher:
            publisher.publish(*load.opening(now_ns))
            beats = [load.progress(now_ns + turn * 10**6) for turn in range(1, 6_001)]
            publisher.publish(*itertools.chain(*beats))  # more than a queue holds
            assert node.answers()


def samples(rate_hz: int = 16_000) -> np.ndarray:
    """The first five seconds of the demo's first speaker, at another rate by interpolation."""
    with wave.open(str(demo_folder() / "dialogue.wav")) as recording:
        both = np.frombuffer(recording.readframes(5 * recording.getframerate()), "<i2")
    mine = both.reshape(-1, 2)[:, 0]
    at = np.arange(0, 5, 1 / rate_hz) * 16_000
    return np.interp(at, np.arange(len(mine)), mine).astype("<i2")


def recording(path: Path, rate_hz: int = 16_000, *, seconds: float = 5.0) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples(rate_hz)[: int(seconds * rate_hz)].tobytes())
    return path


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with Hub(free_address()) as running:
        yield running.address


def played(command: str, path: Path, hub: str) -> tuple[list[Any], str]:
    """Run a worker on a file; return what it published and what it wrote."""
    session = f"file-{next(numbers)}"
    prefixes = [f"{kind}/{session}/" for kind in ("utterance.ended", "gap", "stream.closed")]
    inlet = Inlet(hub, prefixes, from_start=True)
    try:
        arguments = (command, str(path), "--speed", "max", "--address", hub, "--session", session)
        with ThreadPoolExecutor() as pool:  # who reads while it is said can ask for what is missing
            worker = pool.submit(run, *arguments)
            got = read_until(inlet, lambda got: any(isinstance(m, StreamClosed) for m in got))
            result = worker.result()
        assert result.returncode == 0, result.stderr
    finally:
        inlet.close()
    assert "Traceback" not in result.stderr
    return got, result.stderr


def refused(command: str, path: Path) -> str:
    result = run(command, str(path), "--speed", "max", "--address", free_address())
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("affectstream: ")
    assert str(path) in result.stderr
    return result.stderr


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_a_recording_of_any_rate_is_heard(rate_hz: int, hub: str, tmp_path: Path) -> None:
    got, words = played("play", recording(tmp_path / "a.wav", rate_hz), hub)
    ended = [m for m in got if isinstance(m, UtteranceEnded)]
    assert len(ended) == 1
    assert 1.0 < (ended[0].end_ns - ended[0].start_ns) / 1e9 < 2.5
    assert words == ""


def test_a_truncated_recording_is_heard_and_what_is_missing_is_a_gap(
    hub: str, tmp_path: Path
) -> None:
    path = recording(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[:120_001])
    got, words = played("play", path, hub)
    assert len([m for m in got if isinstance(m, UtteranceEnded)]) == 1
    (gap,) = [m for m in got if isinstance(m, Gap)]
    assert gap.count > 19_000
    assert "truncated" in words


@pytest.mark.parametrize(
    "content", [b"", b"this is no recording\n" * 99, b"RIFF\x24\0\0\0WAVEfmt "]
)
def test_what_is_no_recording_is_refused_with_a_remedy(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert "; " in refused("play", path)


def test_an_empty_and_a_missing_recording_are_refused(tmp_path: Path) -> None:
    assert "no audio" in refused("play", recording(tmp_path / "empty.wav", seconds=0.0))
    assert "does not exist" in refused("play", tmp_path / "missing.wav")


def face(path: Path, *, spoil: int | None = None) -> Path:
    lines = (demo_folder() / "anna.csv").read_text(encoding="utf-8").splitlines()[:90]
    if spoil is not None:
        lines[spoil] = lines[spoil].rpartition(",")[0]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_row_of_motion_capture_with_too_few_columns_is_a_gap_of_one_frame(
    hub: str, tmp_path: Path
) -> None:
    got, words = played("mocap", face(tmp_path / "face.csv", spoil=50), hub)
    (gap,) = [m for m in got if isinstance(m, Gap)]
    assert (gap.count, gap.lost) == (1, "frame")
    assert "malformed row" in words


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_what_is_no_motion_capture_is_refused_with_a_remedy(content: str, tmp_path: Path) -> None:
    path = tmp_path / "face.csv"
    path.write_text(content, encoding="utf-8")
    assert "; " in refused("mocap", path)
