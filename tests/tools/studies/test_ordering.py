"""The study of context on synthetic dialogues: what is drawn, what is learned, what is saved."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.errors import AffectstreamError
from affectstream_tools.commands.app import lab
from affectstream_tools.jobs.jobs import Job, JobOutcome
from affectstream_tools.studies.ordering.experiment import (
    RECOGNIZERS,
    SMALL_SIZES,
    Placing,
    ordering_jobs,
    place,
)
from affectstream_tools.studies.ordering.files import ORDERING_REPORT, save_ordering_report
from affectstream_tools.studies.ordering.report import ordering_report_of
from affectstream_tools.synthesis.dialogue_model import MISSING, CueChannel, DialogueModel
from affectstream_tools.synthesis.features import corpus_dialogues, drawn_rows, drawn_word_vectors
from affectstream_tools.synthesis.rendered_words import CUE_WORDS

TINY = replace(
    SMALL_SIZES, learned=24, development=8, scored=12, svm=24, hmm=24, context=4, epochs=1
)


def test_rows_show_the_cues() -> None:
    model = DialogueModel(CueChannel(0.5), CueChannel(0.5, 0.4), CueChannel(0.5))
    drawn = model.draw(20, 10, np.random.default_rng(0))
    rows = drawn_rows(drawn, np.random.default_rng(1)).reshape(20, 10, 3, 4)
    told = np.where(rows.max(axis=-1) > 0.5, rows.argmax(axis=-1), MISSING)
    np.testing.assert_array_equal(told, drawn.cues)


def test_dialogues_of_features_show_voice_and_words() -> None:
    model = DialogueModel(CueChannel(0.5, 0.2), CueChannel(0.5, 0.2), CueChannel(0.5))
    drawn = model.draw(12, 8, np.random.default_rng(0))
    dialogues = corpus_dialogues(drawn, np.random.default_rng(1))
    assert len({dialogue.id for dialogue in dialogues}) == 12
    said = [u for dialogue in dialogues for u in dialogue.utterances]
    voices, words, _ = drawn.cues.reshape(-1, 3).T
    assert all((u.text is None) == (cue == MISSING) for u, cue in zip(said, words, strict=True))
    assert all(u.text in CUE_WORDS[cue] for u, cue in zip(said, words, strict=True) if u.text)
    assert {u.text for u in said if u.text} <= drawn_word_vectors().keys()
    statistics: dict[int, list[np.ndarray]] = {cue: [] for cue in range(4)}
    for utterance, cue in zip(said, voices, strict=True):
        assert (utterance.acoustic is None) == (cue == MISSING)
        if utterance.acoustic is not None:
            statistics[int(cue)].append(utterance.acoustic)
    centroids = np.stack([np.mean(statistics[cue], axis=0) for cue in range(4)])
    for cue, own in statistics.items():
        distances = ((np.stack(own)[:, None] - centroids) ** 2).sum(axis=-1)
        assert (distances.argmin(axis=1) == cue).all()


def test_there_is_a_job_for_each_recognizer_and_seed() -> None:
    asked = ordering_jobs((0, 1))
    assert len({job.name for job in asked}) == len(asked) == 2 * len(RECOGNIZERS)
    assert asked == ordering_jobs((0, 1))
    assert asked[0].options != ordering_jobs((0, 1), small=True)[0].options
    assert json.loads(json.dumps(dict(asked[0].options))) == asked[0].options


@pytest.mark.parametrize("recognizer", list(RECOGNIZERS))
def test_every_recognizer_is_put_beside_its_ceiling(recognizer: str) -> None:
    found = place(recognizer, 1, asdict(TINY))
    placings = [Placing(**values) for values in json.loads(json.dumps(found))["placings"]]
    assert len(placings) == (6 if recognizer == "context" else 1)
    for placing in placings:
        assert placing.utterances == TINY.scored * TINY.turns
        assert 0 < placing.accuracy <= 1
        assert 0.5 < placing.ceiling < 1
        assert (placing.first_order is not None) == (recognizer == "hmm-lm")


def test_context_is_learned_and_its_order_is_that_of_theory() -> None:
    sizes = replace(SMALL_SIZES, learned=400, scored=150, turns=16, epochs=5, hmm=150)
    accuracy, ceiling = {}, {}
    for recognizer in ("alone", "hmm-lm", "lstm", "blstm"):
        (placing,) = place(recognizer, 0, asdict(sizes))["placings"]
        accuracy[recognizer], ceiling[recognizer] = placing["accuracy"], placing["ceiling"]
    assert accuracy["alone"] < accuracy["lstm"] - 0.02 < accuracy["blstm"] - 0.03
    assert accuracy["hmm-lm"] < accuracy["blstm"] - 0.03
    assert ceiling["alone"] < ceiling["lstm"] < ceiling["blstm"] == ceiling["hmm-lm"]
    for recognizer in accuracy:  # better than the best is luck, and so much of it is a mistake
        assert accuracy[recognizer] < ceiling[recognizer] + 0.005
    assert ceiling["alone"] - accuracy["alone"] < 0.02


def outcomes(accuracies: dict[str, float]) -> dict[str, JobOutcome]:
    found = {}
    for name in RECOGNIZERS:
        for seed in (0, 1):
            placing = Placing(name, "full", ("voice",), 100, accuracies[name], 0.5, 0.9, 0.6)
            if name == "context":
                placing = replace(placing, modalities=("voice", "words"))
            job = Job(f"ordering/{name}/seed-{seed}", "a:b", {"recognizer": name, "seed": seed})
            result = {"placings": [asdict(placing)], "model": DialogueModel().to_dict()}
            kept = json.loads(json.dumps(result))
            found[job.name] = JobOutcome(job, kept, 1.0, 100.0, "here")
    return found


RISING = dict(zip(RECOGNIZERS, (0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.7), strict=True))


def test_the_report_says_in_how_many_runs_the_order_held() -> None:
    assert ordering_report_of(outcomes(RISING), "it").in_order == 2
    assert ordering_report_of(outcomes({**RISING, "lstm": 0.55}), "it").in_order == 0
    row = ordering_report_of(outcomes(RISING), "it").rows[0]
    assert (row.accuracy, row.ceiling, row.distance, row.runs) == (50.0, 90.0, 40.0, 2)


def test_a_report_is_saved_and_read_again(tmp_path: Path) -> None:
    report = ordering_report_of(outcomes(RISING), "affectstream-lab ordering")
    written = save_ordering_report(report, tmp_path)
    assert [path.name for path in written] == ["ordering.json", "ordering.md", "ordering.png"]
    assert ORDERING_REPORT.load(tmp_path) == report
    text = (tmp_path / "ordering.md").read_text()
    assert "not IEMOCAP" in text
    assert "affectstream-lab ordering" in text
    assert (tmp_path / "ordering.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_that_is_not_there_or_not_ours_is_said(tmp_path: Path) -> None:
    with pytest.raises(AffectstreamError, match="without --report"):
        ORDERING_REPORT.load(tmp_path)
    (tmp_path / "ordering.json").write_text("[]")
    with pytest.raises(AffectstreamError, match="no report of ours"):
        ORDERING_REPORT.load(tmp_path)
    result = CliRunner().invoke(lab, ["ordering", "--report", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "no report of ours" in result.stderr


def test_the_command_prints_the_saved_report(tmp_path: Path) -> None:
    report = ordering_report_of(outcomes(RISING), "it")
    save_ordering_report(report, tmp_path)
    result = CliRunner().invoke(lab, ["ordering", "--report", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert found == json.loads(json.dumps(report.to_dict()))
    assert "BLSTM" in result.stderr
    assert "not IEMOCAP" in found["data"]
    trial = CliRunner().invoke(lab, ["ordering", "--report", "--small", "--out", str(tmp_path)])
    assert trial.exit_code == 1  # a trial is kept apart from the report
    assert f"no report is saved in {tmp_path / 'small'}" in trial.stderr
