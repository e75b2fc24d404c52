"""Reading the corpus, derived and raw."""

from __future__ import annotations

import math
import shutil
import wave
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusError, CorpusUtterance, Vote
from affectstream.corpus.raw import read_raw
from affectstream.corpus.raw_media import (
    MocapBlock,
    audio_blocks,
    find_channels,
    mocap_blocks,
)
from affectstream.corpus.reader import open_corpus
from affectstream.sources.mocap.frames import MocapLoss
from iemocap_copy import DIALOGUES, RATE_HZ, write_copy, write_sentences


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write_copy(tmp_path / "copy")


def session(copy: Path) -> Path:
    return copy / "Session1" / "dialog"


def test_a_whole_copy_gives_every_utterance_with_words_labels_and_times(copy: Path) -> None:
    corpus = open_corpus(copy)

    assert corpus.kind == "raw"
    assert [dialogue.id for dialogue in corpus.dialogues] == [d.name for d in DIALOGUES]
    first = corpus.dialogues[0]
    assert [u.id[-4:] for u in first.utterances] == ["F000", "M000", "F001", "M001"]
    angry = first.utterances[1]
    assert (angry.speaker, angry.label, angry.text) == (
        "Ses01M",
        "anger",
        "Do you have your forms?",
    )
    assert (angry.start_ns, angry.end_ns) == (1_500_000_000, 2_400_000_000)
    assert (angry.valence, angry.activation, angry.dominance) == (1.5, 4.0, 4.5)
    assert first.utterances[3].dominance == 5.0, "scales are clipped to 1..5"
    assert first.utterances[2].label is None
    assert corpus.warnings == tuple(
        f"{copy / f'Session{n}'} is missing: its dialogues are left out" for n in (2, 3, 4, 5)
    )


def test_who_wore_the_markers_is_in_the_dialogues_name(copy: Path) -> None:
    speakers = [d.recording.mocap_speaker for d in read_raw(copy).dialogues if d.recording]

    assert speakers == ["Ses01F", "Ses01M"]


def test_the_release_folder_is_found_inside_the_one_named(tmp_path: Path) -> None:
    write_copy(tmp_path / "IEMOCAP_full_release")

    assert len(read_raw(tmp_path).dialogues) == 2


@pytest.mark.parametrize("place", [0, 1])
def test_the_speakers_channel_is_heard(copy: Path, place: int) -> None:
    channels = find_channels(read_raw(copy).dialogues[place])

    woman = 0 if DIALOGUES[place].woman_left else 1
    assert channels.of == {"Ses01F": woman, "Ses01M": 1 - woman}
    assert channels.margin_db == pytest.approx(14, abs=2)


def test_a_mono_wav_is_both_speakers(copy: Path) -> None:
    path = session(copy) / "wav" / "Ses01F_impro01.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(bytes(2 * RATE_HZ))

    channels = find_channels(read_raw(copy).dialogues[0])

    assert (channels.of, channels.margin_db) == ({"Ses01F": 0, "Ses01M": 0}, 0.0)


def test_audio_comes_in_blocks_within_the_bounds(copy: Path) -> None:
    dialogue = read_raw(copy).dialogues[0]

    whole = np.concatenate([b.samples for b in audio_blocks(dialogue, 0)])
    part = list(audio_blocks(dialogue, 0, start_ns=500_000_000, end_ns=1_210_000_000))

    assert len(whole) == round(DIALOGUES[0].duration_s * RATE_HZ)
    assert part[0].first_sample == 8_000
    assert part[0].start_ns == 500_000_000
    assert {len(block.samples) for block in part[:-1]} == {320}
    assert np.array_equal(np.concatenate([b.samples for b in part]), whole[8_000:19_360])


def test_motion_joins_the_three_files(copy: Path) -> None:
    dialogue = read_raw(copy).dialogues[0]

    blocks = list(mocap_blocks(dialogue))

    assert all(isinstance(block, MocapBlock) for block in blocks)
    motion = [block for block in blocks if isinstance(block, MocapBlock)]
    times_ns = [t for block in motion for t in block.times_ns]
    values = np.concatenate([block.values for block in motion])
    assert motion[0].layout.name == "iemocap.rotated+hand+head"
    assert values.shape == (len(times_ns), 165 + 18 + 6)
    assert times_ns == sorted(set(times_ns))
    lost = np.isnan(values).all(1)
    assert lost.sum() == 2, "frames 10 and 11 were lost by the tracker and stay NaN"
    assert values[-1, 0] == values[-1, 165] == values[-1, 183], "rows of one frame are joined"


def test_a_file_that_lacks_frames_gives_nan_and_says_so(copy: Path) -> None:
    path = session(copy) / "MOCAP_hand" / "Ses01F_impro01.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:52] + lines[62:]))

    items = list(mocap_blocks(read_raw(copy).dialogues[0]))

    losses = [(i.lost, i.count, i.reason) for i in items if isinstance(i, MocapLoss)]
    assert losses == [("iemocap.hand", 10, "no such frame")]
    values = np.concatenate([i.values for i in items if isinstance(i, MocapBlock)])
    assert np.isnan(values[50:60, 165:183]).all()
    assert not np.isnan(values[50:60, :165]).any()


def test_without_labels_the_words_are_kept(copy: Path) -> None:
    shutil.rmtree(session(copy) / "EmoEvaluation")

    corpus = read_raw(copy)

    assert [len(d.utterances) for d in corpus.dialogues] == [4, 2]
    assert {u.label for d in corpus.dialogues for u in d.utterances} == {None}
    assert math.isnan(corpus.dialogues[0].utterances[0].valence)
    assert f"{session(copy) / 'EmoEvaluation'} is missing or empty" in corpus.warnings
    assert "Ses01F_impro01: no labels; 4 utterances are kept without any" in corpus.warnings


def test_without_words_sound_or_motion_the_labels_are_kept(copy: Path) -> None:
    for name in ("transcriptions", "wav", "MOCAP_rotated", "MOCAP_hand", "MOCAP_head"):
        shutil.rmtree(session(copy) / name)

    corpus = read_raw(copy)

    assert [len(d.utterances) for d in corpus.dialogues] == [4, 2]
    assert sum("is missing or empty" in warning for warning in corpus.warnings) == 5
    with pytest.raises(CorpusError, match="no sound; copy dialog/wav"):
        find_channels(corpus.dialogues[0])
    with pytest.raises(CorpusError, match="no motion capture; copy"):
        list(mocap_blocks(corpus.dialogues[0]))


def test_one_missing_file_is_named(copy: Path) -> None:
    missing = session(copy) / "wav" / "Ses01M_script01_1b.wav"
    missing.unlink()

    assert f"{missing} is missing" in read_raw(copy).warnings


def test_bad_lines_are_named_and_the_rest_is_used(copy: Path) -> None:
    path = session(copy) / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(
        path.read_text()
        .replace("[0.5000 - 1.2000]", "[0.5000 - ?]")
        .replace("[3.4000 - 4.0000]", "[3.4000 - 1.0000]")
    )

    corpus = read_raw(copy)

    assert [u.id[-4:] for u in corpus.dialogues[0].utterances] == ["M000", "F001"]
    told = "\n".join(corpus.warnings)
    assert f"{path}, line 3: no evaluation: '[0.5000 - ?]" in told
    assert f"{path}, line 24: Ses01F_impro01_M001 ends (1.0 s) before it starts (3.4 s)" in told
    assert "2 transcribed stretches have no evaluation and are left out" in told


def test_archive_leftovers_are_not_dialogues(copy: Path) -> None:
    (session(copy) / "EmoEvaluation" / "._Ses01F_impro01.txt").write_bytes(b"\0\5\x16\7")
    (session(copy) / "EmoEvaluation" / "notes.txt").write_text("hello")

    corpus = read_raw(copy)

    assert len(corpus.dialogues) == 2
    assert any("'notes' names no dialogue" in warning for warning in corpus.warnings)


def test_a_truncated_wav_gives_what_it_has(copy: Path) -> None:
    path = session(copy) / "wav" / "Ses01F_impro01.wav"
    path.write_bytes(path.read_bytes()[: 44 + 4 * RATE_HZ])

    dialogue = read_raw(copy).dialogues[0]

    assert sum(len(block.samples) for block in audio_blocks(dialogue, 1)) == RATE_HZ
    assert find_channels(dialogue).of["Ses01F"] == 0


@pytest.mark.parametrize("what", ["nothing", "empty", "other", "empty session"])
def test_what_is_no_corpus_is_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / "corpus"
    if what != "nothing":
        path.mkdir()
    if what == "other":
        (path / "holiday.txt").write_text("sun")
    if what == "empty session":
        (path / "Session1").mkdir()

    with pytest.raises(CorpusError) as refused:
        open_corpus(path)

    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert any(remedy in str(refused.value) for remedy in ("name the folder", "copy dialog"))


@pytest.mark.corpus
def test_the_derived_set_is_recognised(data_folder: Path) -> None:
    corpus = open_corpus(data_folder / "iemocap-derived")

    assert corpus.kind == "derived"
    assert len(corpus.dialogues) == 151
    assert sum(len(dialogue.utterances) for dialogue in corpus.dialogues) == 10_039
    labels = [u.label for dialogue in corpus.dialogues for u in dialogue.utterances]
    assert sum(label is not None for label in labels) == 5_531
    for dialogue in corpus.dialogues:
        ends = [utterance.end_ns for utterance in dialogue.utterances]
        assert ends == sorted(ends)


def test_a_derived_set_without_one_of_its_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "utterances.csv").write_text("row,id\n")

    with pytest.raises(CorpusError, match=r"egemaps47\.npy is missing"):
        open_corpus(tmp_path)
    np.save(tmp_path / "egemaps47.npy", np.zeros((3, 47), np.float32))
    with pytest.raises(CorpusError, match=r"0 rows but egemaps47\.npy has 3"):
        read_derived(tmp_path)


@pytest.mark.parametrize("row", ["0,a", "x,Ses01F_impro01_F000,1,Ses01F_impro01,s,?,2,neu,1,1,1,t"])
def test_a_derived_row_that_is_none_is_named(tmp_path: Path, row: str) -> None:
    header = "row,id,session,dialog,speaker,start,end,emotion,valence,activation,dominance,text"
    (tmp_path / "utterances.csv").write_text(f"{header}\n{row}\n")
    np.save(tmp_path / "egemaps47.npy", np.zeros((1, 47), np.float32))

    with pytest.raises(CorpusError, match=r"utterances\.csv, line 2.*copy both files again"):
        open_corpus(tmp_path)


def test_words_have_times_where_they_were_aligned(copy: Path) -> None:
    angry, laughing = (read_raw(copy, alignment=True).dialogues[0].utterances[n] for n in (1, 3))

    assert [word.text for word in angry.words] == ["DO", "YOU", "HAVE", "YOUR", "FORMS"]
    assert angry.words[0].start_ns == 1_620_000_000, "frame 12 of the utterance"
    assert all(angry.start_ns <= w.start_ns < w.end_ns <= angry.end_ns for w in angry.words)
    assert all(one.end_ns == next_.start_ns for one, next_ in pairwise(angry.words))
    assert [word.text for word in laughing.words] == ["LET", "ME", "SEE", "THEM"]
    assert read_raw(copy).dialogues[0].utterances[1].words == (), "only where it is asked for"


def test_a_missing_or_impossible_alignment_is_named_and_the_rest_is_used(copy: Path) -> None:
    folder = copy / "Session1" / "sentences" / "ForcedAlignment"
    (folder / "Ses01F_impro01" / "Ses01F_impro01_F000.wdseg").unlink()
    other = folder / "Ses01F_impro01" / "Ses01F_impro01_M001.wdseg"
    other.write_text(other.read_text() + "\t  900   950      -1000 FAR\n")

    corpus = read_raw(copy, alignment=True)

    assert [bool(u.words) for u in corpus.dialogues[0].utterances] == [False, True, True, False]
    told = "\n".join(corpus.warnings)
    assert "Ses01F_impro01: 1 utterances have no alignment (Ses01F_impro01_F000, ...)" in told
    assert "M001.wdseg, line 10: frames 900 to 950 cannot be: left out" in told
    shutil.rmtree(folder)
    assert f"{folder} is missing: words have no times" in read_raw(copy, alignment=True).warnings


def emotions_heard(utterance: CorpusUtterance) -> Counter[str]:
    """Count the annotators' votes, without the actors' own."""
    return Counter(vote.emotion for vote in utterance.votes if vote.annotator.startswith("E"))


def test_every_annotators_vote_is_kept_the_actors_own_apart(copy: Path) -> None:
    path = session(copy) / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(path.read_text().replace("C-E4:\tFrustration", "C-E4:\tHunger"))

    corpus = read_raw(copy)

    neutral, angry, torn, _ = corpus.dialogues[0].utterances
    assert emotions_heard(angry) == {"ang": 2}
    assert emotions_heard(torn) == {"ang": 1, "fru": 1, "sad": 1, "neu": 1}
    assert neutral.votes[-1] == Vote("F1", "sur")
    assert any("3 votes for 'Hunger'" in warning for warning in corpus.warnings)


def test_windows_line_ends_and_foreign_bytes_change_nothing(copy: Path) -> None:
    plain = read_raw(copy, alignment=True)
    for path in copy.rglob("*.*"):
        if path.suffix in (".txt", ".wdseg") and "MOCAP" not in path.parent.name:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").replace(b"(a;", b"(\xe9;"))

    assert read_raw(copy, alignment=True) == plain


def test_the_single_utterances_files_stand_in_for_the_dialogues(copy: Path) -> None:
    write_sentences(copy)
    for name in ("wav", "MOCAP_rotated", "MOCAP_hand", "MOCAP_head"):
        shutil.rmtree(session(copy) / name)
    (copy / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav").unlink()

    corpus = read_raw(copy)

    recording = corpus.dialogues[0].recording
    assert recording is not None
    assert sorted(name[-4:] for name in recording.clips) == ["F001", "M000", "M001"]
    assert {len(files) for files in recording.mocap_clips.values()} == {3}
    told = f"Ses01F_impro01: sound of 3 of 4 utterances is in {copy / 'Session1' / 'sentences'}"
    assert any(warning.startswith(told) for warning in corpus.warnings)


@pytest.mark.parametrize(
    ("kind", "old", "new", "told"),
    [
        (
            "EmoEvaluation",
            "Ses01F_impro01_F000",
            "Ses01F_impro01" + "_F1" * 3_000 + "-",
            "no utter",
        ),
        ("EmoEvaluation", "1.2000]", "9" * 400 + ".0]", "later than a day"),
        ("EmoEvaluation", "Neutral;", "Neutral; " + "x" * 5_000, "no emotion"),
        ("transcriptions", "Excuse me.", "very " * 3_500, "more than 16384 characters"),
        ("transcriptions", "Excuse me.", "very " * 60_000, "it is left out"),
    ],
)
def test_what_goes_on_for_ever_is_named_briefly_and_left_out(
    copy: Path, kind: str, old: str, new: str, told: str
) -> None:
    path = session(copy) / kind / "Ses01F_impro01.txt"
    path.write_text(path.read_text().replace(old, new, 1))

    corpus = read_raw(copy)

    assert len(corpus.dialogues[0].utterances) >= 3
    assert any(told in warning for warning in corpus.warnings)
    assert max(map(len, corpus.warnings)) < 600


def test_a_frame_number_of_thousands_of_digits_is_no_frame_number(copy: Path) -> None:
    folder = copy / "Session1" / "sentences" / "ForcedAlignment" / "Ses01F_impro01"
    path = folder / "Ses01F_impro01_F000.wdseg"
    path.write_text(path.read_text() + "9" * 5_000 + " 1 1 WORD\n")

    words = read_raw(copy, alignment=True).dialogues[0].utterances[0].words

    assert "WORD" not in [word.text for word in words]


@pytest.mark.parametrize(
    ("at", "value"), [(16, b"\xff\xff\xff\x7f"), (22, b"\xff\xff"), (24, bytes(4))]
)
def test_a_wav_header_that_cannot_be_is_refused(copy: Path, at: int, value: bytes) -> None:
    path = session(copy) / "wav" / "Ses01F_impro01.wav"
    data = bytearray(path.read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)

    with pytest.raises(CorpusError, match="copy it again"):
        find_channels(read_raw(copy).dialogues[0])


def derived(folder: Path, **changes: str) -> Path:
    row = {"row": "0", "id": "Ses01F_impro01_F000", "session": "1", "dialog": "Ses01F_impro01"}
    row |= {"speaker": "Ses01F", "start": "1", "end": "2", "emotion": "neu", "valence": "1"}
    row |= {"activation": "1", "dominance": "1", "text": "t", **changes}
    lines = [",".join(row), ",".join(row.values())]
    (folder / "utterances.csv").write_text("\n".join(lines) + "\n")
    np.save(folder / "egemaps47.npy", np.zeros((1, 47), np.float32))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"row": "-1"},
        {"row": "1"},
        {"end": "inf"},
        {"end": "0.5"},
        {"id": "a/b"},
        {"speaker": ""},
        {"text": "x" * 20_000},
        {"start": "nan"},
    ],
)
def test_a_derived_row_that_no_message_could_carry_is_refused(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    assert len(read_derived(derived(tmp_path))) == 1
    with pytest.raises(CorpusError, match="line 2 is no utterance") as refused:
        read_derived(derived(tmp_path, **changes))
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:50],
        lambda data: data[:-4],
        lambda data: b"PK\x03\x04" + data,
        lambda data: data.replace(b"(1, 47)", b"(1" + b"0" * 9 + b", 47)"),
        lambda data: data.replace(b"'<f4'", b"'|O' "),
        lambda data: data.replace(b"'<f4'", b"',f4'"),
        lambda data: data.replace(b"}", b"("),
        lambda data: data[:-4] + np.float32(np.nan).tobytes(),
    ],
)
def test_statistics_that_cannot_be_read_are_refused(tmp_path: Path, spoil: Any) -> None:
    path = derived(tmp_path) / "egemaps47.npy"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(CorpusError, match=r"egemaps47\.npy holds no statistics .*copy it again"):
        read_derived(tmp_path)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (derived(tmp_path) / "utterances.csv").write_bytes(b"id,row\n\xff\xfe\0,1\n")
    with pytest.raises(CorpusError, match="no table of utterances"):
        read_derived(tmp_path)
