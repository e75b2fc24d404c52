"""The context study: folds, counts that add up, the node that says the same, the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from affectstream.corpus.derived import read_derived
from affectstream_models.context.batches import collate
from affectstream_models.context.network import ContextConfig, ContextMember
from affectstream_models.text.sentence_encoder import EMOTION_MINILM, MINILM_DIM
from affectstream_models.text.word_encoder import TextFeatures
from affectstream_tools.commands.app import lab
from affectstream_tools.jobs.jobs import JobOutcome
from affectstream_tools.studies.context.counts import Counts
from affectstream_tools.studies.context.experiment import (
    NETWORK_KINDS,
    centres_of,
    context_fold_names,
    context_jobs,
    known_speakers,
    score_context_fold,
    split_of,
)
from affectstream_tools.studies.context.files import load_context_report, save_context_report
from affectstream_tools.studies.context.report import context_report_of, scores_at
from affectstream_tools.train.kept_sentences import KeptSentences, file_of, texts_of
from affectstream_tools.train.member import member_outputs, outputs_alone
from derived_copy import WORDS, write_derived

DIALOGUES = (
    *("Ses01F_impro01", "Ses01M_script01_1", "Ses02F_impro01", "Ses02F_script02_1"),
    *("Ses03M_impro02", "Ses03M_script01_2"),
)


class Letters:
    """A sentence encoder that counts letters."""

    name = EMOTION_MINILM

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        rows = np.zeros((len(texts), MINILM_DIM), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for letter in text:
                row[ord(letter) % MINILM_DIM] += 1
        return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A derived copy, word vectors beside it, and a cache that knows all its sentences."""
    root = tmp_path_factory.mktemp("study")
    derived = write_derived(root / "derived", DIALOGUES, utterances=16)
    (root / "glove-50d-5k").mkdir()
    vectors = {word: [float(len(word)), 0.5] for word in WORDS}
    vectors = {word: [*values, *([0.0] * 48)] for word, values in vectors.items()}
    (root / "glove-50d-5k" / "glove-50d-5k.json").write_text(json.dumps(vectors))
    path = file_of(root / "cache" / "sentences", EMOTION_MINILM)
    kept = KeptSentences(path, EMOTION_MINILM, Letters)
    kept.keep(texts_of(read_derived(derived)), lambda done, of: None)
    return root


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, JobOutcome]:
    """Both kinds of networks on one fold of each session, trained for two epochs."""
    found = {}
    data, cache = str(folder / "derived"), str(folder / "cache")
    for held_out in ("session 1, impro01", "session 2, script02"):
        for kind in NETWORK_KINDS:
            for job in context_jobs(folder / "derived", folder / "cache", "scenario"):
                options = {**job.options, "small": True}
                if (options["held_out"], options["kind"]) == (held_out, kind):
                    result = score_context_fold(**options)
                    assert (options["data"], options["cache"]) == (data, cache)
                    found[job.name] = JobOutcome(job, result, 1.0, 2.0, "here")
    return found


def test_every_dialogue_is_scored_once_and_nothing_of_its_scenario_is_learned_from(
    folder: Path,
) -> None:
    dialogues = read_derived(folder / "derived")
    scored = []
    for name in context_fold_names(dialogues, "scenario"):
        split = split_of(dialogues, name)
        scored += split.test
        for test in split.test:
            assert not [d for d in split.train if d.scenario == test.scenario]
            assert not [d for d in split.train if d.session == test.session]
    assert sorted(d.id for d in scored) == sorted(DIALOGUES)
    sessions = [split_of(dialogues, name) for name in context_fold_names(dialogues, "session")]
    assert [len(split.test) for split in sessions] == [2, 2, 2]
    with pytest.raises(ValueError, match="session, scenario"):
        context_fold_names(dialogues, "speaker")


def test_known_speakers_have_mean_zero_and_deviation_one(folder: Path) -> None:
    dialogues = known_speakers(read_derived(folder / "derived"))
    own = [u.acoustic for d in dialogues for u in d.utterances if u.speaker == "Ses01F"]
    rows = np.stack([one for one in own if one is not None])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=0.2)  # clipped scores_at four deviations
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=0.2)


def test_counts_are_of_every_labelled_utterance(
    folder: Path, outcomes: dict[str, JobOutcome]
) -> None:
    dialogues = {d.id: d for d in read_derived(folder / "derived")}
    said = dialogues["Ses01F_impro01"].utterances
    (fold,) = (o for n, o in outcomes.items() if "context/session-1-impro01" in n)
    counts = Counts.from_dict(fold.result["counts"])
    for look_ahead in ("causal", "1", "2", "4", "8", "full"):
        table = counts.tables[look_ahead, "improvised", "emotion"]
        assert table.sum() == sum(u.label is not None for u in said)
        assert counts.tables[look_ahead, "all", "valence"].sum() == len(said)
        assert counts.tables[look_ahead, "all", "clusters-5"].shape == (5, 5)
    assert Counts.from_dict(json.loads(json.dumps(counts.to_dict()))).to_dict() == counts.to_dict()


def test_the_node_says_what_the_offline_model_says(outcomes: dict[str, JobOutcome]) -> None:
    for name, outcome in outcomes.items():
        if "/alone/" in name:
            assert "streamed" not in outcome.result
            continue
        streamed = outcome.result["streamed"]
        assert streamed["difference"] < 1e-5
        assert streamed["finals"] == outcome.result["scored"]
        for look_ahead, parts in streamed["counts"].items():
            offline = outcome.result["counts"][look_ahead]["all"]["emotion"]
            assert parts["all"] == offline


def test_a_concordance_follows_from_sums() -> None:
    x, y = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    sums = [3, x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]
    counts = Counts.from_dict({"full": {"all": {"valence moments": sums}}})
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert counts.concordance("full", "all", "valence") == pytest.approx(expected)


def test_clusters_of_folds_are_brought_into_one_order(outcomes: dict[str, JobOutcome]) -> None:
    (one, *_) = outcomes.values()
    swapped = replace(one.job, options={**one.job.options, "held_out": "session 1, other"})
    result = json.loads(json.dumps(one.result))
    for parts in result["counts"].values():
        for tasks in parts.values():
            tasks["clusters-3"] = np.array(tasks["clusters-3"])[[1, 0, 2]][:, [1, 0, 2]].tolist()
    pair = {"a": one, "b": replace(one, job=swapped, result=result)}
    centres = [[2.0, 4.0], [2.1, 2.0], [4.0, 3.0]]
    found = {
        str(one.job.options["held_out"]): {"clusters-3": centres},
        "session 1, other": {"clusters-3": [centres[1], centres[0], centres[2]]},
    }
    alone = context_report_of({"a": one}, "scenario", "", found)
    both = context_report_of(pair, "scenario", "", found)
    assert (
        scores_at(both, "full")["tasks"]["clusters-3"]
        == scores_at(alone, "full")["tasks"]["clusters-3"]
    )


def test_a_report_is_saved_and_printed_again(
    outcomes: dict[str, JobOutcome], folder: Path, tmp_path: Path
) -> None:
    centres = centres_of(read_derived(folder / "derived"), "scenario")
    assert [len(own) for own in centres["session 1, impro01"].values()] == [3, 4, 5]
    report = context_report_of(outcomes, "scenario", "affectstream-lab context", centres)
    assert set(report["look_ahead"]) == {"1", "2", "4", "8"}
    assert report["none"]["utterances"] == report["full"]["utterances"] > 0
    assert report["full"]["improvised"]["uar"] is not None
    assert set(report["full"]["tasks"]) >= {"valence", "clusters-4"}
    assert report["streamed"]["largest_difference"] < 1e-5
    assert [path.name for path in save_context_report(report, tmp_path)] == [
        "context-scenario.json",
        "context-scenario.md",
        "context-scenario.png",
    ]
    assert load_context_report(tmp_path, "scenario") == report
    printed = CliRunner().invoke(
        lab, ["context", "--protocol", "scenario", "--out", str(tmp_path), "--report", "--json"]
    )
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout.splitlines()[-1]) == report


def test_without_data_or_report_the_command_says_what_to_do(tmp_path: Path) -> None:
    asked = CliRunner().invoke(lab, ["context", "--protocol", "session"])
    assert asked.exit_code == 2
    assert "--data" in asked.stderr
    missing = CliRunner().invoke(lab, ["context", "--report", "--out", str(tmp_path)])
    assert missing.exit_code == 1
    assert "without --report first" in missing.stderr
    derived = write_derived(tmp_path / "derived")
    wordless = CliRunner().invoke(lab, ["context", "--data", str(derived)])
    assert wordless.exit_code == 1
    assert "put glove-50d-5k beside the corpus" in wordless.stderr


def test_a_kept_sentence_is_not_encoded_again(tmp_path: Path) -> None:
    first, second = Letters(), Letters()
    kept = KeptSentences(tmp_path / "letters.npz", "letters", lambda: first)
    heard: list[tuple[int, int]] = []
    kept.keep(["a", "b", "a"], lambda done, of: heard.append((done, of)))
    assert first.asked == ["a", "b"]
    assert heard == [(2, 2)]
    again = KeptSentences(tmp_path / "letters.npz", "letters", lambda: second)
    np.testing.assert_array_equal(again.encode(["b", "a"]), first.encode(["b", "a"]))
    assert second.asked == []
    again.encode(["c"])
    assert second.asked == ["c"]


def test_a_broken_file_of_sentences_is_made_anew(tmp_path: Path) -> None:
    letters = Letters()
    (tmp_path / "letters.npz").write_bytes(b"PK\x03\x04 cut off")
    kept = KeptSentences(tmp_path / "letters.npz", "letters", lambda: letters)
    kept.keep(["a"], lambda done, of: None)
    assert letters.asked == ["a"]
    assert (
        KeptSentences(tmp_path / "letters.npz", "letters", Letters).encode(["a"])[0, ord("a")] == 1
    )


def test_an_utterance_alone_is_a_dialogue_of_one() -> None:
    torch.manual_seed(0)
    sizes = {"ngram_dim": 3, "text_dim": 5, "encoder_dim": 4, "fused_dim": 6, "hidden_dim": 7}
    config = ContextConfig(ngrams=4, words=1, word_dim=2, memory=(3.0,), **sizes)
    member = ContextMember(config).eval()
    words = np.zeros(4, dtype=np.float32)
    text = [TextFeatures(np.array([row]), words, empty=False) for row in (0, 3, 1)]
    batch = collate([np.full(47, row, dtype=np.float32) for row in range(3)], text)
    alone = outputs_alone(member, batch)
    one_by_one = member_outputs(member, batch, [["a"], ["b"], ["a"]], lambda count: [count - 1])
    torch.testing.assert_close(alone, one_by_one)
    together = member_outputs(member, batch, [["a", "b", "a"]], lambda count: [count - 1])
    assert (alone - together).abs().max() > 1e-4
