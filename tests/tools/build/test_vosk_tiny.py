"""The tiny Vosk model: its parts, a small build, and the bundled one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.data import tiny_vosk_model
from affectstream_tools.build.demo_dialogue.script import TURNS
from affectstream_tools.synthesis.espeak import Espeak, SynthesisError
from conftest import lacks

pytest.importorskip("vosk")
pytest.importorskip("soxr")
pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("torch")

from affectstream_tools.build.vosk_tiny import speech
from affectstream_tools.build.vosk_tiny.cli import application
from affectstream_tools.build.vosk_tiny.data import Amount, known_sentences, make_data
from affectstream_tools.build.vosk_tiny.evaluation import load_model, recognise, word_error_rate
from affectstream_tools.build.vosk_tiny.graph import Fst, bigram, build_graph
from affectstream_tools.build.vosk_tiny.kaldi_writer import KaldiWriter
from affectstream_tools.build.vosk_tiny.model_folder import write_model
from affectstream_tools.build.vosk_tiny.pronunciations import PronunciationCounter, edit_distance
from affectstream_tools.build.vosk_tiny.training import AcousticRecipe, train_acoustic

FEW = ["good morning my friend", "leave me alone", "i am so happy today"]


@pytest.fixture(scope="module")
def espeak_library() -> None:
    try:
        Espeak()
    except SynthesisError as error:
        lacks(str(error))


def test_edit_distance_counts_insertions_deletions_and_substitutions() -> None:
    assert edit_distance(["a", "b", "c"], ["a", "b", "c"]) == 0
    assert edit_distance(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
    assert edit_distance([], ["a", "b"]) == 2


def test_a_run_of_words_is_cut_where_its_parts_look_like_the_words_alone() -> None:
    counter = PronunciationCounter()
    phones = [("o", 0), ("v", 0), ("D", 1), ("@", 1)]
    heard = tuple(speech.Phone(name, 0.1 * i, word) for i, (name, word) in enumerate(phones))
    empty = np.zeros(0, np.float32)
    counter.add("of the", speech.SpokenSentence(empty, heard, {0: 0.0, 1: 0.2}))
    run = tuple(speech.Phone(name, 0.1 * i, 0) for i, name in enumerate(("o", "v", "D", "i")))
    counter.add("of the", speech.SpokenSentence(empty, run, {0: 0.0}))

    lexicon = counter.lexicon()

    assert lexicon["of"] == [(("o", "v"), 1.0)]
    assert [phones for phones, _ in lexicon["the"]] == [("D", "@"), ("D", "i")]


def test_a_history_s_words_share_all_its_chance() -> None:
    chances = bigram(FEW, sorted({word for text in FEW for word in text.split()}))

    assert sum(chances.unigram.values()) == pytest.approx(1)
    for history, after in chances.after.items():
        unseen = sum(p for word, p in chances.unigram.items() if word not in after)
        assert sum(after.values()) + chances.backoff[history] * unseen == pytest.approx(1)


def test_a_transducer_is_written_as_openfst_reads_it() -> None:
    fst = Fst()
    fst.start, end = fst.state(), fst.state()
    fst.arc(fst.start, 2, 1, 0.5, end)
    fst.arc(fst.start, 1, 0, 0.25, fst.start)
    fst.final[end] = 0.0

    content = fst.to_bytes()

    assert content[:4] == struct.pack("<i", 2125659606)
    assert content[4:26] == b"\6\0\0\0vector\x08\0\0\0standard"
    header = struct.unpack_from("<iiQqqq", content, 26)
    assert header == (2, 0, 3, fst.start, 2, 2)
    first = struct.unpack_from("<fqiifi", content, 26 + 40)
    assert first == (float("inf"), 2, 1, 0, 0.25, fst.start), "arcs are sorted by input"


def test_a_compressed_matrix_is_true_to_a_65535th_of_its_span() -> None:
    matrix = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    writer = KaldiWriter()
    writer.compressed_matrix(matrix)

    content = writer.getvalue()[2 + len("CM2 ") :]
    low, span, rows, columns = struct.unpack_from("<ffii", content)
    steps = np.frombuffer(content, "<u2", offset=16).reshape(rows, columns)
    assert np.allclose(low + steps / 65535 * span, matrix, atol=span / 65535)


def test_the_lists_of_sentences_do_not_overlap_and_training_has_every_word() -> None:
    lists = {name: known_sentences(name) for name in ("train", "development", "fresh")}
    vocabulary = {word for text in lists["train"] for word in text.split()}

    for name in ("development", "fresh"):
        assert not set(lists[name]) & set(lists["train"])
        assert not {word for text in lists[name] for word in text.split()} - vocabulary
    assert not set(lists["fresh"]) & set(lists["development"])


def test_voices_that_are_scored_were_not_trained_on() -> None:
    variants = {name.partition("+")[2] for name in speech.EVALUATION_VOICES}
    variants |= {name.partition("+")[2] for name in speech.DEVELOPMENT_VOICES}

    assert not variants & {variant.lstrip("+") for variant in speech.TRAINING_VARIANTS}


def test_frames_are_labelled_with_the_phone_that_is_spoken(espeak_library: None) -> None:
    data = make_data(FEW, Amount(copies=1, salads=0, non_speech=1))

    assert data.phones[0] == "SIL"
    assert len(data.clips) == len(FEW) + 1
    for clip in data.clips:
        assert len(clip.labels) == -(-len(clip.features) // 3)
    assert not data.clips[-1].labels.any(), "a clip without speech is silence throughout"
    spoken = data.clips[0].labels
    assert spoken[0] == spoken[-1] == 0
    assert len(set(spoken.tolist())) > 8


def test_training_is_repeatable_and_libvosk_recognises_with_the_result(
    tmp_path: Path, espeak_library: None
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    data = make_data(FEW, Amount(copies=20, salads=10, non_speech=4))
    for folder in folders:
        write_model(folder, data, train_acoustic(data, AcousticRecipe(hidden=48, epochs=6)))

    for path in folders[0].rglob("*"):
        if path.is_file():
            twin = folders[1] / path.relative_to(folders[0])
            assert path.read_bytes() == twin.read_bytes()
    score = word_error_rate(load_model(folders[0]), FEW, ["en-us+m1"])
    assert score.word_error_rate < 0.35


def test_every_phone_of_the_lexicon_is_in_the_graph(espeak_library: None) -> None:
    data = make_data(FEW, Amount(copies=1, salads=0, non_speech=0))

    fst = build_graph(data)

    states = range(len(fst.arcs))
    assert all(arc.target in states for arcs in fst.arcs for arc in arcs)
    assert {arc.output for arcs in fst.arcs for arc in arcs} == set(range(len(data.vocabulary) + 1))


def test_the_bundled_model_is_small_has_a_card_and_knows_the_demo() -> None:
    folder = tiny_vosk_model()

    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 1_000_000
    card = (folder / "MODEL_CARD.md").read_text()
    assert "espeak-ng" in card
    assert "Not for human speech" in card
    lines = (folder / "graph" / "words.txt").read_text().splitlines()
    words = {line.split()[0] for line in lines}
    assert not {word for turn in TURNS for word in turn.text.split()} - words


def test_the_bundled_model_hears_fresh_sentences_in_voices_it_never_heard(
    espeak_library: None,
) -> None:
    score = word_error_rate(
        load_model(tiny_vosk_model()),
        known_sentences("fresh"),
        ["en-us+Mike", "en-us+edward", "en+benjamin"],
    )

    assert score.word_error_rate < 0.03
    assert score.start_error_ms < 20


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_the_bundled_model_hears_no_words_where_there_are_none(kind: str) -> None:
    time_s = np.arange(48_000) / 16_000
    samples = {
        "silence": np.zeros(48_000),
        "noise": np.random.default_rng(2).normal(0, 500, 48_000),
        "tone": 8000 * np.sin(2 * np.pi * 440 * time_s),
    }[kind]

    assert recognise(load_model(tiny_vosk_model()), samples.astype("<i2")) == []


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="build one with"):
        load_model(tmp_path)


def test_the_commands_explain_themselves() -> None:
    for command in ("build", "evaluate"):
        result = CliRunner().invoke(application, [command, "--help"])
        assert result.exit_code == 0
        assert "model" in result.output
