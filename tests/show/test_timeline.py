"""The picture of a timeline has what was found where it was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from affectstream.errors import AffectstreamError
from affectstream.fusion.pipeline import Analysis
from affectstream.messages import Dimension, Emotion, ModelIdentity
from affectstream.timebase import NS_PER_S
from hostile import HOSTILE

matplotlib = pytest.importorskip("matplotlib")
from affectstream.show import timeline  # noqa: E402

IDENTITY = ModelIdentity(id="fake", sha256="0" * 64)


def emotion(name: str, start_s: float, end_s: float, **more: Any) -> Emotion:
    shares = dict.fromkeys(timeline.PLOT_COLOURS, 0.1) | {name: 0.7}
    return Emotion(
        session="recording",
        source="fusion",
        utterance=f"u{start_s}",
        speaker="anna",
        start_ns=round(start_s * NS_PER_S),
        end_ns=round(end_s * NS_PER_S),
        revision=0,
        status="final",
        categorical=shares,
        dimensional={"valence": Dimension(mean=2.0, levels=(0.5, 0.3, 0.2))},
        model=IDENTITY,
        **more,
    )


def analysis(*emotions: Emotion, seconds: float = 10.0) -> Analysis:
    peaks = np.full(round(seconds * 50), 0.01, np.float32)
    for each in emotions:
        peaks[each.start_ns * 50 // NS_PER_S : each.end_ns * 50 // NS_PER_S] = 0.5
    return Analysis(Path("talk.wav"), seconds, list(emotions), {"anna": peaks, "ben": peaks})


def pixels(path: Path) -> np.ndarray:
    from matplotlib import image

    return np.asarray(image.imread(path))[..., :3]


def share_of(picture: np.ndarray, colour: str) -> float:
    """The share of the pixels that are nearer to a tint of ``colour`` than to grey."""
    from matplotlib.colors import to_rgb

    direction = np.array(to_rgb(colour)) - np.mean(to_rgb(colour))
    tint = picture - picture.mean(axis=2, keepdims=True)
    length = np.linalg.norm(tint, axis=2)
    cosine = tint @ direction / np.maximum(length * np.linalg.norm(direction), 1e-9)
    return float(((cosine > 0.97) & (length > 0.08)).mean())


def test_each_emotion_has_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    timeline.plot_timeline(analysis(emotion("anger", 1, 4)), path)
    angry = pixels(path)
    timeline.plot_timeline(analysis(emotion("sadness", 1, 4)), path)
    sad = pixels(path)
    colours = timeline.PLOT_COLOURS
    assert share_of(angry, colours["anger"]) > 5 * share_of(sad, colours["anger"])
    assert share_of(sad, colours["sadness"]) > 5 * share_of(angry, colours["sadness"])


def test_a_longer_recording_is_a_wider_picture(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seconds}.png" for seconds in (5, 60)]
    for path in paths:
        seconds = float(path.stem)
        timeline.plot_timeline(analysis(emotion("anger", 1, 4), seconds=seconds), path)
    short, long = (pixels(path) for path in paths)
    assert long.shape[1] > 1.5 * short.shape[1]
    assert long.shape[0] == short.shape[0]


def test_nothing_said_and_nothing_sure_are_drawn_too(tmp_path: Path) -> None:
    for number, found in enumerate(
        (analysis(), analysis(emotion("anger", 1, 1.1, sure=False)), Analysis(Path("x.wav")))
    ):
        path = tmp_path / f"{number}.png"
        timeline.plot_timeline(found, path)
        assert path.stat().st_size > 1_000


def test_a_format_that_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(AffectstreamError, match=r"name a \.png"):
        timeline.plot_timeline(analysis(), tmp_path / "plot.doc")
    with pytest.raises(AffectstreamError, match=r"name a \.png"):
        timeline.plot_timeline(analysis(), tmp_path / "nowhere" / "plot.png")


@pytest.mark.parametrize("words", [*HOSTILE, r"$\frac$ and $"])
def test_no_name_of_a_speaker_or_a_file_spoils_the_picture(tmp_path: Path, words: str) -> None:
    found = analysis(msgspec.structs.replace(emotion("anger", 1, 2), speaker=words))
    found = replace(
        found, path=Path(words.replace("/", "")), envelope={words: found.envelope["anna"]}
    )
    timeline.plot_timeline(found, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1_000
