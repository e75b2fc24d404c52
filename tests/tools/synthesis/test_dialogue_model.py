"""The model of dialogues: its posteriors are exact, and the ceilings are what theory says."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from affectstream_tools.synthesis.ceilings import ceilings, without_context
from affectstream_tools.synthesis.dialogue_model import (
    CEILING_LOOK_AHEADS,
    CUES,
    MISSING,
    CueChannel,
    DialogueModel,
    Drawn,
)

MODEL = DialogueModel(CueChannel(0.5, 0.1), CueChannel(0.6), CueChannel(0.4, 0.3))
ORDERED = ("none", "causal", "1", "2", "4", "8", "full")


def by_enumeration(model: DialogueModel, cues: np.ndarray, seen: int) -> np.ndarray:
    """(T, 4), posteriors given the first ``seen`` turns, from every course the dialogue may take.

    A course is what the listener of the first turn felt, and then every turn's emotion.
    """
    start = model.stationary.reshape(4, 4)
    shown = [modality.chances() for modality in model.channels]
    weights = np.zeros((len(cues), 4))
    for listened, *felt in itertools.product(range(4), repeat=len(cues) + 1):
        chance = start[felt[0], listened]
        for turn in range(1, len(felt)):
            own_last = felt[turn - 2] if turn > 1 else listened
            chance *= model.follow[own_last, felt[turn - 1], felt[turn]]
        for emotion, symbols in zip(felt[:seen], cues[:seen], strict=True):
            for table, symbol in zip(shown, symbols, strict=True):
                chance *= 1.0 if symbol == MISSING else table[emotion, symbol]
        weights[np.arange(len(felt)), felt] += chance
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", [0, 1])
def test_posteriors_are_those_of_enumeration(seed: int) -> None:
    cues = MODEL.draw(1, 4, np.random.default_rng(seed)).cues
    seen = [by_enumeration(MODEL, cues[0], count) for count in range(1, 5)]
    for look_ahead, later in (("causal", 0), ("1", 1), ("2", 2), ("full", 4)):
        found = MODEL.posteriors(cues, look_ahead)[0]
        for turn in range(4):
            wanted = seen[min(turn + later, 3)][turn]
            np.testing.assert_allclose(found[turn], wanted, atol=1e-12)


def test_without_context_it_is_bayes_rule() -> None:
    cues = MODEL.draw(3, 4, np.random.default_rng(2)).cues
    wanted = MODEL.prior * MODEL.likelihoods(cues)
    wanted /= wanted.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(MODEL.posteriors(cues, "none"), wanted)
    alone = [by_enumeration(MODEL, one[None], 1)[0] for one in cues[0]]
    np.testing.assert_allclose(wanted[0], alone)


def test_a_modality_that_is_not_looked_at_might_as_well_be_missing() -> None:
    cues = MODEL.draw(4, 6, np.random.default_rng(3)).cues
    hidden = cues.copy()
    hidden[..., CUES.index("words")] = MISSING
    for look_ahead in CEILING_LOOK_AHEADS:
        np.testing.assert_allclose(
            MODEL.posteriors(cues, look_ahead, ("voice", "motion")),
            MODEL.posteriors(hidden, look_ahead),
        )


def test_shorter_dialogues_may_be_filled_with_missing_cues() -> None:
    cues = MODEL.draw(2, 6, np.random.default_rng(4)).cues
    filled = np.concatenate((cues, np.full((2, 3, 3), MISSING)), axis=1)
    for look_ahead in CEILING_LOOK_AHEADS:
        np.testing.assert_allclose(
            MODEL.posteriors(filled, look_ahead)[:, :6], MODEL.posteriors(cues, look_ahead)
        )


def test_emotions_are_drawn_as_the_chain_says() -> None:
    drawn = MODEL.draw(20_000, 4, np.random.default_rng(5))
    for turn in range(4):  # it begins as it goes on
        shares = np.bincount(drawn.emotions[:, turn], minlength=4) / 20_000
        np.testing.assert_allclose(shares, MODEL.prior, atol=0.015)
    own, partner, now = drawn.emotions[:, 1], drawn.emotions[:, 2], drawn.emotions[:, 3]
    after = now[(own == 0) & (partner == 3)]
    shares = np.bincount(after, minlength=4) / len(after)
    np.testing.assert_allclose(shares, MODEL.follow[0, 3], atol=0.08)
    pairs = np.zeros((4, 4))
    np.add.at(pairs, (drawn.emotions[:, :-1], drawn.emotions[:, 1:]), 1)
    np.testing.assert_allclose(pairs / pairs.sum(axis=1, keepdims=True), MODEL.bigram, atol=0.02)


def test_cues_are_drawn_as_said() -> None:
    emotions, cues = MODEL.draw(3000, 5, np.random.default_rng(6))
    for place, shown in enumerate(MODEL.channels):
        there = cues[..., place] != MISSING
        assert 1 - there.mean() == pytest.approx(shown.missing, abs=0.02)
        true = (cues[..., place] == emotions)[there].mean()
        wanted = shown.informativeness + (1 - shown.informativeness) / 4
        assert true == pytest.approx(wanted, abs=0.02)


def test_more_to_know_is_never_worse_to_be_expected() -> None:
    drawn = MODEL.draw(600, 16, np.random.default_rng(7))
    for subset in (("voice",), CUES):
        found = list(ceilings(MODEL, drawn, subsets=[subset]))
        assert tuple(ceiling.look_ahead for ceiling in found) == ORDERED
        for measure in ("accuracy", "uar"):
            values = [getattr(ceiling, measure) for ceiling in found]
            margin = 0.004  # of the sample; the ordering is one of expectations
            assert all(b > a - margin for a, b in itertools.pairwise(values)), values
            assert values[1] > values[0] + 0.02
            assert values[-1] > values[1] + 0.02


def test_the_decisions_reach_what_is_expected_of_them() -> None:
    drawn = MODEL.draw(1500, 12, np.random.default_rng(8))
    for ceiling in ceilings(MODEL, drawn, subsets=[CUES], look_aheads=("none", "full")):
        assert ceiling.realised_accuracy == pytest.approx(ceiling.accuracy, abs=0.01)
        assert ceiling.realised_uar == pytest.approx(ceiling.uar, abs=0.012)
        assert 0 < ceiling.accuracy_sd < 0.005


def test_more_modalities_are_never_worse_to_be_expected() -> None:
    together = without_context(MODEL)
    for pair in itertools.combinations(CUES, 2):
        both = without_context(MODEL, pair)
        assert all(whole > part + 0.01 for whole, part in zip(together, both, strict=True))
        for name in pair:
            one = without_context(MODEL, (name,))
            assert all(whole > part - 1e-12 for whole, part in zip(both, one, strict=True))


@pytest.mark.parametrize("subset", [("voice",), ("motion",), ("voice", "words"), CUES])
def test_the_closed_form_agrees_with_a_large_draw(subset: tuple[str, ...]) -> None:
    drawn = MODEL.draw(2000, 10, np.random.default_rng(9))
    found = next(iter(ceilings(MODEL, drawn, subsets=[subset], look_aheads=["none"])))
    accuracy, uar = without_context(MODEL, subset)
    assert found.accuracy == pytest.approx(accuracy, abs=4 * found.accuracy_sd)
    assert found.uar == pytest.approx(uar, abs=0.006)


@pytest.mark.parametrize("look_ahead", CEILING_LOOK_AHEADS)
def test_cues_that_tell_nothing_leave_chance_and_those_that_tell_all_leave_no_doubt(
    look_ahead: str,
) -> None:
    for informativeness, accuracy, uar in ((0.0, float(MODEL.prior.max()), 0.25), (1.0, 1.0, 1.0)):
        model = DialogueModel(*(CueChannel(informativeness) for _ in CUES))
        drawn = model.draw(50, 10, np.random.default_rng(10))
        (found,) = ceilings(model, drawn, subsets=[CUES], look_aheads=[look_ahead])
        assert found.accuracy == pytest.approx(accuracy)
        assert found.uar == pytest.approx(uar)
        assert without_context(model) == pytest.approx((accuracy, uar))
    assert found.realised_accuracy == found.realised_uar == 1.0


def test_a_first_order_view_is_worth_less_than_the_whole_truth_and_more_than_none() -> None:
    model = DialogueModel()
    emotions, cues = model.draw(1500, 20, np.random.default_rng(11))

    def share_right(posterior: np.ndarray) -> float:
        return float((posterior.argmax(axis=-1) == emotions).mean())

    alone = share_right(model.posteriors(cues, "none"))
    first = share_right(model.first_order(cues, "full"))
    causal = share_right(model.posteriors(cues, "causal"))
    full = share_right(model.posteriors(cues, "full"))
    assert alone + 0.01 < first < causal - 0.01 < full - 0.03


def test_where_a_chain_is_of_first_order_the_first_order_view_is_the_whole_truth() -> None:
    model = DialogueModel(inertia=0.0, reaction=0.6)
    cues = model.draw(20, 8, np.random.default_rng(12)).cues
    for look_ahead in ("causal", "2", "full"):
        np.testing.assert_allclose(
            model.first_order(cues, look_ahead), model.posteriors(cues, look_ahead), atol=1e-9
        )


def test_the_same_seed_draws_the_same_and_plain_values_describe_all() -> None:
    again = DialogueModel.from_dict(json.loads(json.dumps(MODEL.to_dict())))
    assert again == MODEL
    one, other = (m.draw(3, 7, np.random.default_rng(13)) for m in (MODEL, again))
    np.testing.assert_array_equal(one.emotions, other.emotions)
    np.testing.assert_array_equal(one.cues, other.cues)


def test_what_is_no_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="informativeness"):
        CueChannel(1.2)
    with pytest.raises(ValueError, match="missing"):
        CueChannel(0.5, -0.1)
    with pytest.raises(ValueError, match="together"):
        DialogueModel(inertia=0.8, reaction=0.3)
    with pytest.raises(ValueError, match="sum to 1"):
        DialogueModel(base=(0.5, 0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="row for each"):
        DialogueModel(reactions=((0.25,) * 4,) * 3)
    with pytest.raises(ValueError, match="at least one"):
        MODEL.draw(0, 5, np.random.default_rng())


def test_what_is_not_known_cannot_be_asked_for() -> None:
    drawn = Drawn(np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="look-ahead"):
        MODEL.posteriors(drawn.cues, "all")
    with pytest.raises(ValueError, match="modality 'smell'"):
        MODEL.posteriors(drawn.cues, "none", ("smell",))
