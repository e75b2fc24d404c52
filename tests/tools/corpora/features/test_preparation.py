"""Features that are prepared: once, whole, and the same as live."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.core.speech.descriptors import DescriptorExtractor
from affectstream.corpus.dialogues import Corpus, CorpusDialogue, CorpusUtterance
from affectstream.corpus.raw_media import MocapBlock, mocap_blocks
from affectstream.features import face_markers, mocap, tripathi34, woellmer
from affectstream.features.egemaps.front_end import Egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.features.functionals import functionals
from affectstream_tools.commands.app import lab
from affectstream_tools.corpora.any_corpus import count_modalities, open_any_corpus
from affectstream_tools.corpora.features import preparation
from affectstream_tools.corpora.features.extraction import (
    FACE_COORDINATES,
    FACE_FUNCTIONALS,
    FRONT_ENDS,
    MOTION_FRONT_ENDS,
    SPEECH_FRONT_ENDS,
)
from affectstream_tools.corpora.features.front_end_versions import front_end_version
from affectstream_tools.corpora.features.preparation import (
    Step,
    possible_front_ends,
    prepare_features,
)
from affectstream_tools.corpora.features.utterance_features import UtteranceFeatures
from derived_copy import write_derived
from iemocap_copy import (
    RATE_HZ,
    SpokenLine,
    WrittenDialogue,
    write_copy,
    write_sentences,
    write_wav_file,
)
from sounds import voice

CHEAP = ("tripathi34", "functionals-voice")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw copy whose first utterance sounds like a voice; not to be changed."""
    root = write_copy(tmp_path_factory.mktemp("raw") / "copy")
    path = root / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav"
    with wave.open(str(path)) as wav:
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2).copy()
    samples[8_000:19_200, 0] = 20_000 * voice(0.7)
    write_wav_file(path, samples)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def prepared(whole: Path, cache: Path) -> UtteranceFeatures:
    """All front ends of the whole copy; not to be changed."""
    return prepare_features(open_any_corpus(whole), FRONT_ENDS, cache)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def utterances(corpus: Corpus) -> list[CorpusUtterance]:
    return [utterance for dialogue in corpus.dialogues for utterance in dialogue.utterances]


def same(one: UtteranceFeatures, other: UtteranceFeatures) -> bool:
    return all(
        np.array_equal(mine, yours, equal_nan=True) if yours is not None else mine is None
        for name in one.front_ends
        for u in utterances(one.corpus)
        for mine, yours in [(one.features(name, u.id), other.features(name, u.id))]
    )


def pcm(whole: Path, dialogue: str, channel: int, start_s: float, end_s: float) -> np.ndarray:
    with wave.open(str(whole / "Session1" / "dialog" / "wav" / f"{dialogue}.wav")) as wav:
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    return samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ), channel].copy()


def test_the_voices_features_are_those_of_the_live_path(
    whole: Path, prepared: UtteranceFeatures
) -> None:
    sound = pcm(whole, "Ses01F_impro01", 0, 0.5, 1.2)  # the woman is on the left
    extractor = DescriptorExtractor("egemaps", Egemaps)
    live = []
    for first in range(0, len(sound), 320):  # heard before it is known that somebody speaks
        live += extractor.push(first, sound[first : first + 320].tobytes())
        if first == 3_200:
            live += extractor.begin(0)
    live += extractor.end()
    statistics = utterance_statistics(np.concatenate([rows.values for rows in live]))

    name = "Ses01F_impro01_F000"
    told = {front_end: prepared.features(front_end, name) for front_end in SPEECH_FRONT_ENDS}
    assert np.array_equal(told["egemaps47"], statistics)
    assert np.isfinite(statistics).all()
    assert np.allclose(told["woellmer"], woellmer.extract_woellmer(sound), atol=1e-4)
    assert np.array_equal(told["functionals-voice"], functionals(told["woellmer"]))
    offset, peak = tripathi34.reference(sound)
    reference = tripathi34.utterance_matrix(tripathi34.extract_tripathi34(sound, offset, peak))
    assert told["tripathi34"].shape == (100, 34)
    assert np.count_nonzero(told["tripathi34"].any(axis=1)) == 6  # 0.7 s
    assert np.allclose(told["tripathi34"], reference, atol=0.02)


def test_each_speaker_is_heard_on_the_own_channel(whole: Path, prepared: UtteranceFeatures) -> None:
    sound = pcm(whole, "Ses01M_script01_1b", 0, 0.4, 1.1)  # here the man is on the left
    assert np.allclose(
        prepared.features("woellmer", "Ses01M_script01_1b_M000"),
        woellmer.extract_woellmer(sound),
        atol=1e-4,
    )


def frames(dialogue: CorpusDialogue) -> tuple[np.ndarray, np.ndarray]:
    blocks = [b for b in mocap_blocks(dialogue) if isinstance(b, MocapBlock)]
    times = np.concatenate([block.times_ns for block in blocks])
    return times, np.concatenate([block.values for block in blocks])


def test_the_motion_is_cut_by_time_out_of_the_dialogues_stream(prepared: UtteranceFeatures) -> None:
    dialogue = prepared.corpus.dialogues[0]
    woman, man = dialogue.utterances[0], dialogue.utterances[1]
    times, values = frames(dialogue)
    layout = next(b for b in mocap_blocks(dialogue) if isinstance(b, MocapBlock)).layout
    markers = face_markers.FaceMarkers(layout.channels)
    face = np.concatenate((markers.push(values), markers.finish()))
    here = (times >= woman.start_ns) & (times < woman.end_ns)

    means = prepared.features("mocap", woman.id)
    assert np.array_equal(means, mocap.chronological_means(values[here]))
    assert np.array_equal(
        prepared.features("face-markers", woman.id),
        face[here][:, :FACE_COORDINATES],
        equal_nan=True,
    )
    assert np.array_equal(prepared.features("functionals-face", woman.id), functionals(face[here]))
    assert prepared.features("mocap", man.id) is not None, "the listener's motion"
    assert prepared.features("face-markers", man.id) is None
    assert prepared.missing("face-markers") == {"the speaker wore no markers": 3}


def test_functionals_of_chosen_columns_need_no_second_extraction(
    prepared: UtteranceFeatures,
) -> None:
    name = "Ses01F_impro01_F001"
    chosen = [3, 40, 137]
    table = prepared.features("functionals-face", name).reshape(-1, FACE_FUNCTIONALS)

    frames = prepared.features("face-markers", name)
    assert np.allclose(table[chosen].reshape(-1), functionals(frames[:, chosen]), rtol=1e-5)


def test_a_second_run_extracts_nothing(
    whole: Path, cache: Path, prepared: UtteranceFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "extract_dialogue", None)  # would fail if it were called
    steps: list[Step] = []
    again = prepare_features(open_any_corpus(whole), FRONT_ENDS, cache, on_done=steps.append)

    assert steps == [Step("", 0, 0)]
    assert set(again.made.values()) == {0}
    assert set(again.kept.values()) == {2}
    assert again.missing("face-markers") == prepared.missing("face-markers")
    assert same(again, prepared)


def test_two_workers_make_what_one_makes(
    whole: Path, prepared: UtteranceFeatures, tmp_path: Path
) -> None:
    wanted = ("egemaps47", "tripathi34", "mocap")
    two = prepare_features(open_any_corpus(whole), wanted, tmp_path, workers=2)

    assert set(two.made.values()) == {2}
    assert same(two, prepared)


def test_what_was_killed_goes_on_where_it_was(
    whole: Path, prepared: UtteranceFeatures, tmp_path: Path
) -> None:
    def kill(step: Step) -> None:
        if step.dialogue:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_features(open_any_corpus(whole), CHEAP, tmp_path, on_done=kill)
    left_over = next(tmp_path.rglob("*.npz")).with_suffix(".1.tmp")
    left_over.write_bytes(b"half")
    os.utime(left_over, (0, 0))

    rest = prepare_features(open_any_corpus(whole), CHEAP, tmp_path)
    assert (rest.made, rest.kept) == (dict.fromkeys(CHEAP, 1), dict.fromkeys(CHEAP, 1))
    assert not left_over.exists()
    assert same(rest, prepared)


KILLED = """
import os, signal, sys
from pathlib import Path
from affectstream_tools.corpora.any_corpus import open_any_corpus
from affectstream_tools.corpora.features.preparation import prepare_features

def kill(step):
    if step.dialogue:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    prepare_features(open_any_corpus(Path(sys.argv[1])), sys.argv[3:], Path(sys.argv[2]), 2, kill)
"""


def test_a_killed_process_takes_its_workers_along(whole: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(whole), str(tmp_path), *CHEAP]
    # Until the workers are gone, they hold the pipes, and this waits.
    ended = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    rest = prepare_features(open_any_corpus(whole), CHEAP, tmp_path)
    assert min(rest.kept.values()) >= 1


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "not a zip"])
def test_a_damaged_file_is_noticed_and_made_anew(
    whole: Path, prepared: UtteranceFeatures, tmp_path: Path, damage: str
) -> None:
    first = prepare_features(open_any_corpus(whole), CHEAP, tmp_path)
    path = first.store.path("tripathi34", "Ses01F_impro01")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"flipped": content, "cut": content[:-90], "empty": b"", "not a zip": b"x" * 99}
    path.write_bytes(changed[damage])

    with pytest.raises(ValueError, match="prepare the corpus again"):
        first.features("tripathi34", "Ses01F_impro01_F000")
    again = prepare_features(open_any_corpus(whole), CHEAP, tmp_path)
    assert again.made == {"tripathi34": 1, "functionals-voice": 0}
    assert same(again, prepared)


def test_what_changed_is_extracted_again_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    prepare_features(open_any_corpus(copy), (*CHEAP, "mocap"), tmp_path)
    dialog = copy / "Session1" / "dialog"
    wav = dialog / "wav" / "Ses01F_impro01.wav"
    os.utime(wav, ns=(0, wav.stat().st_mtime_ns + 1))
    labels = dialog / "EmoEvaluation" / "Ses01M_script01_1b.txt"
    labels.write_text(labels.read_text().replace("\tsad\t", "\tneu\t"))

    again = prepare_features(open_any_corpus(copy), (*CHEAP, "mocap"), tmp_path)

    assert again.made == {"tripathi34": 1, "functionals-voice": 1, "mocap": 0}
    labels.write_text(labels.read_text().replace("[0.4000 -", "[0.4100 -"))
    moved = prepare_features(open_any_corpus(copy), ("mocap",), tmp_path)
    assert moved.made == {"mocap": 1}


def test_a_front_ends_version_is_the_source_of_all_that_it_is_built_of() -> None:
    from affectstream_tools.corpora.features import front_end_versions

    assert len({front_end_version(name) for name in FRONT_ENDS}) == len(FRONT_ENDS)
    source = (
        b"from affectstream.features.egemaps.pitch_path import a\n"
        b"from affectstream.features.egemaps import roots"
    )
    assert list(front_end_versions._imported(source)) == [
        "affectstream.features.egemaps.pitch_path",
        "affectstream.features.egemaps.roots",
    ]


def test_a_partial_copy_gives_what_it_has_and_says_the_rest(copy: Path, tmp_path: Path) -> None:
    dialog = copy / "Session1" / "dialog"
    (dialog / "wav" / "Ses01M_script01_1b.wav").unlink()
    short = dialog / "wav" / "Ses01F_impro01.wav"
    short.write_bytes(short.read_bytes()[: 44 + 4 * round(2.6 * RATE_HZ)])
    for kind in ("rotated", "hand", "head"):
        (dialog / f"MOCAP_{kind}" / "Ses01M_script01_1b.txt").unlink()
    (dialog / "MOCAP_hand" / "Ses01F_impro01.txt").unlink()

    wanted = ("tripathi34", "mocap", "functionals-face")
    found = prepare_features(open_any_corpus(copy), wanted, tmp_path)

    assert found.missing("tripathi34") == {
        "no sound in the copy": 2,
        "the recording ends before the utterance": 1,
    }
    assert found.missing("mocap") == {"no motion in the copy": 2}
    assert found.missing("functionals-face") == {
        "no motion in the copy": 1,
        "the speaker wore no markers": 3,
    }
    assert any("F001: its recording ends after 0.40 s of 0.80 s" in n for n in found.notes())
    hands = found.features("mocap", "Ses01F_impro01_F000")[:, 165:183]
    assert not hands.any(), "no value at all is 0"
    assert f"{dialog / 'wav' / 'Ses01M_script01_1b.wav'} is missing" in found.corpus.warnings
    assert found.present("tripathi34") == 3


def test_what_cannot_be_read_or_heard_is_said(copy: Path, tmp_path: Path) -> None:
    dialog = copy / "Session1" / "dialog"
    (dialog / "wav" / "Ses01M_script01_1b.wav").write_bytes(b"RIFF")
    write_wav_file(dialog / "wav" / "Ses01F_impro01.wav", np.full((5 * RATE_HZ, 2), 40))
    head = dialog / "MOCAP_head" / "Ses01F_impro01.txt"
    head.write_text(head.read_text().replace("pitch", "pith"))

    found = prepare_features(open_any_corpus(copy), ("tripathi34", "mocap"), tmp_path)

    assert found.missing("tripathi34") == {"the recording cannot be read": 2}
    assert found.missing("mocap") == {"the recording cannot be read": 4}
    told = "\n".join(found.notes())
    assert "Ses01F_impro01: who is on which channel cannot be heard (0.0 dB)" in told
    assert "Ses01M_script01_1b.wav cannot be read" in told
    assert "cannot be joined; name one recording's" in told


def test_single_utterances_files_give_the_same_sound(
    copy: Path, prepared: UtteranceFeatures, tmp_path: Path
) -> None:
    write_sentences(copy)
    for name in ("wav", "MOCAP_rotated", "MOCAP_hand", "MOCAP_head"):
        shutil.rmtree(copy / "Session1" / "dialog" / name)

    alone = prepare_features(
        open_any_corpus(copy), ("tripathi34", "mocap", "face-markers"), tmp_path
    )

    for utterance in utterances(alone.corpus):
        for name in ("tripathi34", "mocap"):
            found = alone.features(name, utterance.id)
            assert np.array_equal(found, prepared.features(name, utterance.id))
    assert alone.missing("face-markers") == {"the speaker wore no markers": 3}


def test_an_utterance_too_short_is_said(tmp_path: Path) -> None:
    line = SpokenLine("F000", 0.5, 0.53, "neu", (3.0, 3.0, 3.0), "Hm.")
    copy = write_copy(tmp_path / "copy", [WrittenDialogue("Ses01F_impro01", (line,))])

    found = prepare_features(open_any_corpus(copy), ("egemaps47", "tripathi34"), tmp_path / "cache")

    assert found.missing("egemaps47") == {"too short for the front end": 1}
    assert found.features("tripathi34", "Ses01F_impro01_F000") is None


def test_the_derived_set_has_its_statistics_and_no_more(tmp_path: Path) -> None:
    corpus = open_any_corpus(write_derived(tmp_path / "derived"))
    found = prepare_features(corpus, ("egemaps47", "woellmer"), tmp_path / "cache")

    assert possible_front_ends(corpus) == ("egemaps47",)
    assert list(found.impossible) == ["woellmer"]
    assert "woellmer cannot be made; name a raw copy" in found.impossible["woellmer"]
    for utterance in utterances(corpus):
        assert np.array_equal(found.features("egemaps47", utterance.id), utterance.acoustic)
        assert found.features("woellmer", utterance.id) is None
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_clips_are_prepared_whole(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for number, length_s in ((1, 0.5), (2, 0.8)):
        sound = (20_000 * voice(length_s)).astype("<i2")
        write_wav_file(folder / f"03-01-05-01-0{number}-01-07.wav", sound[:, None])
    (folder / "03-01-05-01-03-01-07.wav").write_bytes(b"RIFF")

    corpus = open_any_corpus(folder)
    found = prepare_features(corpus, ("tripathi34", "mocap"), tmp_path / "cache")

    (dialogue,) = corpus.dialogues
    assert [u.end_ns for u in dialogue.utterances] == [500_000_000, 1_300_000_000]
    assert {(u.speaker, u.label) for u in dialogue.utterances} == {("ravdess/07", "anger")}
    assert len(corpus.warnings) == 1
    assert "the clip is left out" in corpus.warnings[0]
    assert possible_front_ends(corpus) == SPEECH_FRONT_ENDS
    assert "holds no motion capture" in found.impossible["mocap"]
    rows = [found.features("tripathi34", u.id).any(axis=1).sum() for u in dialogue.utterances]
    assert rows == [4, 7]


def test_what_is_asked_wrongly_is_refused(prepared: UtteranceFeatures, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no front end 'mfcc'; name some of egemaps47"):
        prepare_features(prepared.corpus, ("mfcc",), tmp_path)
    with pytest.raises(ValueError, match="0 workers"):
        prepare_features(prepared.corpus, CHEAP, tmp_path, workers=0)
    some = prepare_features(prepared.corpus, (), tmp_path)
    with pytest.raises(ValueError, match="tripathi34 was not prepared"):
        some.features("tripathi34", "Ses01F_impro01_F000")
    with pytest.raises(KeyError):
        prepared.features("mocap", "nobody")
    with pytest.raises(ValueError, match="read-only"):
        prepared.features("mocap", "Ses01F_impro01_F000")[:] = 0


def test_memory_is_bounded(
    whole: Path, cache: Path, prepared: UtteranceFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = prepare_features(open_any_corpus(whole), FRONT_ENDS, cache)
    monkeypatch.setattr(
        "affectstream_tools.corpora.features.utterance_features._HELD_BYTES", 400_000
    )
    for name in MOTION_FRONT_ENDS:
        for utterance in utterances(prepared.corpus):
            again.features(name, utterance.id)
            held = [array for found in again._held.values() for array in found.values()]
            assert len(again._held) == 1 or sum(array.nbytes for array in held) <= 400_000


def test_modalities_are_counted(prepared: UtteranceFeatures) -> None:
    counts = count_modalities(prepared.corpus.dialogues)
    assert counts == {
        **dict.fromkeys(("speech", "text", "words", "mocap", "emotion", "votes", "scales"), 6),
        "statistics": 0,
    }


def test_the_command_prepares_and_ends_with_json(whole: Path, tmp_path: Path) -> None:
    options = ["--front-ends", "tripathi34, mocap", "--cache", str(tmp_path), "--workers", "1"]
    run = CliRunner().invoke(lab, ["prepare", str(whole), *options, "--json"])

    assert run.exit_code == 0, run.output
    summary = json.loads(run.stdout.splitlines()[-1])
    assert summary["kind"] == "raw"
    assert summary["front_ends"]["mocap"]["utterances"] == 6
    assert summary["front_ends"]["tripathi34"]["dialogues_made"] == 2
    assert len(summary["warnings"]) == 4, "four sessions are missing"
    assert "Session5 is missing" in run.stderr
    assert str(tmp_path) in summary["folder"]


@pytest.mark.parametrize("what", ["empty", "text", "derived", "wrong"])
def test_the_command_refuses_in_one_sentence(tmp_path: Path, whole: Path, what: str) -> None:
    folder, options = tmp_path / what, []
    folder.mkdir()
    if what == "text":
        (folder / "dev_sent_emo.csv").write_text(
            "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi.,Joey,joy,0,0\n"
        )
    if what == "derived":
        write_derived(folder)
        options = ["--front-ends", "mocap"]
    if what == "wrong":
        folder, options = whole, ["--front-ends", "mfcc"]
    words = {
        "empty": "holds no corpus; name a folder",
        "text": "holds no recordings",
        "derived": "name a raw copy of IEMOCAP",
        "wrong": "no front end 'mfcc'; name some of",
    }

    run = CliRunner().invoke(
        lab, ["prepare", str(folder), *options, "--cache", str(tmp_path / "cache")]
    )

    assert run.exit_code == 2
    assert words[what] in " ".join(run.stderr.split())
    assert "\n" not in run.stderr.strip()
