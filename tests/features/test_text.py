"""Transcripts become the numbers of their tokens, whole or while they grow."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from affectstream.features.text import (
    TOKENS,
    UNKNOWN_ID,
    learn_vocabulary,
    read_word_vectors,
    token_ids,
    words_of,
)

GLOVE = "the 0.1 0.2 0.3\ndo 1 2 3\nn't -1 -2 -3\n"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't you KNOW?", ["do", "n't", "you", "know", "?"]),
        ("She’s can't, won't...", ["she", "'s", "ca", "n't", ",", "wo", "n't", "..."]),
        ("[LAUGHTER] I'll pay 1,000.50!", ["[laughter]", "i", "'ll", "pay", "1,000.50", "!"]),
        ("ante n'twas", ["ante", "n", "twas"]),
        ("  \n", []),
        ("", []),
    ],
)
def test_a_text_is_cut_as_word_vectors_have_it(text: str, tokens: list[str]) -> None:
    assert words_of(text) == tokens


def test_numbers_fill_up_in_front_and_keep_the_last_tokens() -> None:
    vocabulary = {"a": 2, "b": 3}
    assert token_ids("a b c", vocabulary, 5).tolist() == [0, 0, 2, 3, UNKNOWN_ID]
    assert token_ids("a a a b b", vocabulary, 3).tolist() == [2, 3, 3]
    assert token_ids("", vocabulary).tolist() == [0] * TOKENS


def test_a_vocabulary_numbers_the_frequent_first() -> None:
    texts = ["b a b", "b a c"]
    assert learn_vocabulary(texts) == {"b": 2, "a": 3, "c": 4}
    assert learn_vocabulary(texts, least=2) == {"b": 2, "a": 3}


def test_vectors_are_read_from_glove_and_from_json(tmp_path: Path) -> None:
    plain, mapped = tmp_path / "glove.txt", tmp_path / "glove.json"
    plain.write_text("3 3\n" + GLOVE + "the 9 9 9\n")
    entries = {line.split()[0]: [float(n) for n in line.split()[1:]] for line in GLOVE.splitlines()}
    mapped.write_text(json.dumps(entries))
    one, other = read_word_vectors(plain), read_word_vectors(mapped)
    assert one.vocabulary == other.vocabulary == {"the": 2, "do": 3, "n't": 4}
    np.testing.assert_array_equal(one.table, other.table)
    found = one.table[token_ids("Don't panic", one.vocabulary, 4)]
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 2, 3], [-1, -2, -3], [0, 0, 0]])


def test_a_word_may_have_spaces(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(GLOVE + ". . . 7 8 9\n")
    vectors = read_word_vectors(path)
    assert vectors.table[vectors.vocabulary[". . ."]].tolist() == [7, 8, 9]


def test_only_wanted_words_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(GLOVE)
    assert read_word_vectors(path, {"do", "never"}).vocabulary == {"do": 2}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "the 1 2\nof 1\n", "'of' has 1 numbers"),
        ("a.txt", "the 1 two\n", "line 1"),
        ("a.txt", "the\n", "line 1"),
        ("a.txt", "the 1 nan\n", "line 1"),
        ("a.txt", "", "no vector"),
        ("a.json", "[1]", "must map"),
        ("a.json", "{", "no JSON"),
        ("a.json", '{"the": "x"}', "'the'"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_word_vectors(tmp_path / name)


def test_most_words_of_dialogues_have_a_vector(data_folder: Path) -> None:
    vectors = read_word_vectors(data_folder / "glove-50d-5k" / "glove-50d-5k.json")
    assert vectors.table.shape[1] == 50
    with (data_folder / "iemocap-derived" / "utterances.csv").open(newline="") as lines:
        texts = [row["text"] for row in csv.DictReader(lines)]
    ids = np.concatenate([token_ids(text, vectors.vocabulary) for text in texts[:2_000]])
    known = ids[ids != 0] != UNKNOWN_ID
    assert known.mean() > 0.9
