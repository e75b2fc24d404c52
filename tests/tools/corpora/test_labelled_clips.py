"""What clips' names say."""

from __future__ import annotations

from pathlib import Path

import pytest

from affectstream_tools.corpora.labelled_clips import OTHER_EMOTION, find_clips, read_name

ROOT = Path("/clips")


@pytest.mark.parametrize(
    ("name", "label", "speaker"),
    [
        ("Actor_12/03-01-05-01-02-01-12.wav", "anger", "ravdess/12"),
        ("Actor_12/03-01-03-02-02-01-12.flac", "happiness", "ravdess/12"),
        ("03-01-02-01-01-01-07.wav", OTHER_EMOTION, "ravdess/07"),
        ("03-02-05-01-01-01-07.wav", OTHER_EMOTION, "ravdess/07"),  # it is sung
        ("AudioWAV/1001_DFA_ANG_XX.wav", "anger", "crema-d/1001"),
        ("1091_WSI_NEU_XX.wav", "neutral", "crema-d/1091"),
        ("1091_WSI_DIS_HI.wav", OTHER_EMOTION, "crema-d/1091"),
        ("wav/03a01Wa.wav", "anger", "emo-db/03"),
        ("16b10Td.wav", "sadness", "emo-db/16"),
        ("08b09Lb.wav", OTHER_EMOTION, "emo-db/08"),
        ("DC_sa03.wav", "sadness", "savee/DC"),
        ("KL/n12.wav", "neutral", "savee/KL"),
        ("JK/su01.wav", OTHER_EMOTION, "savee/JK"),
        ("OAF_angry/OAF_back_angry.wav", "anger", "tess/OAF"),
        ("YAF_base_ps.wav", OTHER_EMOTION, "tess/YAF"),
        ("rab-f1-b1.wav", "anger", "emovo/f1"),
        ("happy/anything at all.wav", "happiness", "folder/unknown"),
        ("0011/Sad/0011_000701.wav", "sadness", "folder/0011"),
        ("Neutral/bob/1.wav", "neutral", "folder/bob"),
        ("female1_angry_10a_1.wav", "anger", "named/female1"),
    ],
)
def test_a_name_says_the_emotion_and_who_speaks(name: str, label: str, speaker: str) -> None:
    clip = read_name(ROOT / name, ROOT)
    assert clip is not None
    assert (clip.label, clip.speaker) == (label, speaker)


@pytest.mark.parametrize("name", ["recording.wav", "take 2/a.wav", "sad_or_happy.wav", "n12.wav"])
def test_a_name_without_one_emotion_says_nothing(name: str) -> None:
    assert read_name(ROOT / name, ROOT) is None


def test_a_table_of_labels_says_more_than_names(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    for name in ("happy/a.wav", "b.wav"):
        (tmp_path / name).touch()
    (tmp_path / "labels.csv").write_text(
        "file,emotion,speaker\nhappy/a.wav,Anger,eve\nb.wav,jealousy,\n", encoding="utf-8"
    )
    clips, unlabelled = find_clips(tmp_path)
    assert [(c.label, c.speaker) for c in clips] == [
        ("anger", "listed/eve"),
        (OTHER_EMOTION, "listed/unknown"),
    ]
    assert unlabelled == 0


@pytest.mark.parametrize(
    ("table", "words"),
    [("file,emotion\nx.wav,anger\n", "x.wav"), ("a,b\n", "columns"), ("file,emotion\n", "empty")],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        find_clips(tmp_path)


def test_a_folder_without_labels_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(ValueError, match=r"labels\.csv"):
        find_clips(tmp_path)


def test_files_without_a_label_are_counted(tmp_path: Path) -> None:
    for name in ("OAF_back_angry.wav", "a.wav", "b.flac", "notes.txt"):
        (tmp_path / name).touch()
    clips, unlabelled = find_clips(tmp_path)
    assert (len(clips), unlabelled) == (1, 2)
