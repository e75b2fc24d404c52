"""How the networks of Tripathi and Beigi are trained: inputs, protocols, and which epoch counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from affectstream.errors import AffectstreamError
from affectstream.features.text import WordVectors
from affectstream_models.tripathi.checkpoints import NetworkDescription
from affectstream_tools.studies.tripathi.inputs import (
    encoded,
    fitted,
    longest,
    longest_text,
    read_vectors,
    started,
)
from affectstream_tools.studies.tripathi.protocols import (
    ACTORS,
    LAST,
    RANDOM,
    SESSION,
    TRIPATHI_PROTOCOLS,
    parts_of,
)
from affectstream_tools.studies.tripathi.training import (
    NetworkSchedule,
    Parts,
    Scored,
    TrainingCourse,
    initialise,
    score_network,
    train_epochs,
)

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES = ("anger", "excitement", "neutral", "sadness")
TEXTS = ["you never listen", "you never", "I listen to you", "[LAUGHTER] never mind", ""]
VECTORS = WordVectors({"you": 2, "sun": 3}, np.array([[0.0] * 3] * 2 + [[1.0] * 3] * 2, np.float32))


def described(name: str, **changes: object) -> NetworkDescription:
    return replace(NetworkDescription(name, CLASSES, frames=4, length=6, rows=8), **changes)


def corpus(utterances: int = 4936) -> dict[str, object]:
    """Ids whose last fifth begins in session 5, as theirs do."""
    sessions = np.sort(np.arange(utterances) % 9 % 5 + 1)
    dialogues = [f"Ses{s:02d}F_impro{i // 25:03d}" for i, s in enumerate(sessions)]
    ids = [f"{name}_F{i:04d}" for i, name in enumerate(dialogues)]
    return {"ids": ids, "dialogues": dialogues, "sessions": sessions}


@pytest.mark.parametrize("protocol", [RANDOM, LAST, SESSION])
def test_no_utterance_is_in_two_parts_and_none_is_left_out(protocol: str) -> None:
    parts = parts_of(protocol, 0, **corpus())
    together = np.concatenate((parts.train, parts.development, parts.test))
    assert sorted(together) == list(range(4936))
    assert 0.09 < len(parts.development) / (4936 - len(parts.test)) < 0.12
    again, other = parts_of(protocol, 0, **corpus()), parts_of(protocol, 1, **corpus())
    assert np.array_equal(again.train, parts.train)
    assert not np.array_equal(other.train, parts.train)


def test_the_last_fifth_is_that_of_the_published_code() -> None:
    everything = corpus()
    order = np.random.default_rng(0).permutation(4936)
    mixed = {name: [values[i] for i in order] for name, values in everything.items()}
    mixed["sessions"] = np.array(mixed["sessions"])
    test = parts_of(LAST, 0, **mixed).test
    assert len(test) == 988
    assert sorted(mixed["ids"][i] for i in test) == sorted(everything["ids"])[3948:]


def test_what_is_held_out_is_not_learned_from() -> None:
    everything = corpus()
    parts = parts_of(SESSION, 0, **everything)
    assert set(everything["sessions"][parts.test]) == {5}
    assert 5 not in everything["sessions"][parts.train]
    names = np.array(everything["dialogues"])
    assert not set(names[parts.development]) & set(names[parts.train])


def test_actors_are_two_men_and_two_women_and_every_seed_has_others() -> None:
    speakers = [f"ravdess/{actor:02d}" for actor in range(1, 25) for _ in range(3)]
    everything = {"ids": [str(i) for i in range(72)], "dialogues": speakers}
    scored = []
    for seed in range(6):
        parts = parts_of(ACTORS, seed, **everything, sessions=np.zeros(72, int))
        who = [{speakers[i] for i in part} for part in (parts.train, parts.development, parts.test)]
        assert [len(each) for each in who] == [16, 4, 4]
        assert not who[0] & who[2]
        assert sum(int(name[-2:]) % 2 for name in who[2]) == 2
        scored.append(who[2])
    assert len(set().union(*scored)) == 24


def test_a_protocol_that_does_not_exist_or_fit_says_so() -> None:
    with pytest.raises(ValueError, match="no protocol 'all'; there are " + TRIPATHI_PROTOCOLS[0]):
        parts_of("all", 0, **corpus())
    few = {"ids": ["a"], "dialogues": ["Ses01F_impro01"], "sessions": np.array([1])}
    with pytest.raises(ValueError, match=r"leaves a part .* empty; use another protocol"):
        parts_of(SESSION, 0, **few)


def test_words_are_those_of_the_training_part_and_rare_ones_are_unknown() -> None:
    train_part = np.array([0, 1, 3])
    learned = fitted(described("text-3"), TEXTS, {}, train_part, None)
    assert learned.vocabulary == ("never", "you")
    tokens = encoded(learned, TEXTS, {})["tokens"]
    assert tokens[2].tolist() == [0, 0, 1, 1, 1, 3]  # I, listen and to are unknown
    assert tokens[4].tolist() == [0] * 6
    glove = fitted(described("text-1"), TEXTS, {}, train_part, VECTORS)
    assert glove.vocabulary == ("you", "sun", "never")
    assert glove.dimensions == 3
    table = next(
        m.weight for m in started(glove, VECTORS, 0).modules() if isinstance(m, nn.Embedding)
    )
    assert table.tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2 + [[0.0] * 3]


def test_columns_are_scaled_on_the_training_part_and_what_fills_up_stays_zero() -> None:
    rng = np.random.default_rng(0)
    speech = rng.normal(5.0, 3.0, (6, 4, 34)).astype(np.float32)
    speech[:, 3:] = 0.0
    speech[4:] += 100.0
    learned = fitted(described("speech-1"), [], {"speech": speech}, np.arange(4), None)
    scaled = encoded(learned, [], {"speech": speech})["speech"].numpy()
    assert np.abs(scaled[:4, :3].mean(axis=(0, 1))).max() < 1e-5
    assert np.abs(scaled[:4, :3].std(axis=(0, 1)) - 1).max() < 1e-4
    assert not scaled[:4, 3:].any()
    assert scaled[4:, :3].min() > 5


def test_what_is_empty_in_all_utterances_is_left_out() -> None:
    speech = np.zeros((2, 100, 34), np.float32)
    assert longest(speech) == 1
    speech[1, 41, 3] = 1.0
    assert longest(speech) == 42
    learned = fitted(described("speech-3", frames=42), [], {"speech": speech}, np.arange(2), None)
    assert encoded(learned, [], {"speech": speech})["speech"].shape == (2, 42, 34)
    assert longest_text(TEXTS) == 4
    assert longest_text([""]) == 1
    assert longest_text(["a " * 501]) == 500


def test_a_network_of_the_hand_is_given_the_hands_columns() -> None:
    mocap = np.broadcast_to(np.arange(1, 190, dtype=np.float32), (3, 8, 189)).copy()
    mocap[1] *= 2
    learned = fitted(described("mocap-hand-2"), [], {"mocap": mocap}, np.arange(2), None)
    mean, _ = learned.normalisation["mocap"]
    assert mean == [1.5 * column for column in range(166, 184)]
    assert encoded(learned, [], {"mocap": mocap})["mocap"].shape == (3, 8, 18)


def test_word_vectors_say_which_file_they_were(tmp_path: Path) -> None:
    file = tmp_path / "glove.txt"
    file.write_text("never 1 2\nsun 3 4\n")
    vectors, which = read_vectors(file, TEXTS)
    assert vectors.vocabulary == {"never": 2}
    assert which.startswith("glove.txt, sha256 ")
    with pytest.raises(AffectstreamError, match="name a GloVe file with --vectors"):
        read_vectors(tmp_path / "none.txt", TEXTS)


def test_weights_start_as_keras_draws_them() -> None:
    torch.manual_seed(0)
    lstm, dense, table = nn.LSTM(6, 5), nn.Linear(40, 8), nn.Embedding(9, 4, padding_idx=0)
    initialise(nn.ModuleList([lstm, dense, table]))
    for gate in lstm.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5), rtol=0, atol=1e-5)
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    assert bias.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10  # torch: in, forget, cell, out
    assert 0.9 * (6 / 48) ** 0.5 < dense.weight.abs().max() <= (6 / 48) ** 0.5
    assert not dense.bias.any()
    assert 0.04 < table.weight.abs().max() <= 0.05
    assert not table.weight[0].any()


class Threshold(nn.Module):
    """Two classes of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, speech: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(speech)
        return logits


def test_training_ends_with_the_weights_that_the_development_part_chose() -> None:
    torch.manual_seed(0)
    values = torch.linspace(-1, 1, 60).unsqueeze(1)
    labels = (values[:, 0] > 0).long()
    parts = Parts(np.arange(0, 60, 3), np.arange(1, 60, 3), np.arange(2, 60, 3))
    network, seen = Threshold(), []
    course = train_epochs(
        network,
        "adam",
        {"speech": values},
        labels,
        parts,
        NetworkSchedule(4, 60, 8),
        seed=0,
        on_epoch=lambda epoch, loss: seen.append(loss),
    )
    assert course.train_loss == seen
    assert seen[-1] < seen[0]
    best = course.chosen("development")
    assert len(seen) in (60, best + 9)
    again = score_network(network, {"speech": values}, labels, parts.test)
    assert np.array_equal(again.logits, course.test[best].logits)
    found = course.to_dict(np.arange(20) < 5)["selected"]["development"]
    assert found["epoch"] == best
    assert sum(map(sum, found["improvised"]["confusion"])) == 5


def scored(right: int, sure: float) -> Scored:
    logits = np.zeros((4, 2), np.float32)
    logits[:right, 0], logits[right:, 1] = sure, sure
    return Scored(np.zeros(4, np.int64), logits)


def test_each_part_chooses_its_own_epoch_and_ties_go_to_the_lower_loss() -> None:
    course = TrainingCourse(
        train_loss=[3.0, 2.0, 1.0],
        development=[scored(2, 1.0), scored(3, 9.0), scored(3, 1.0)],
        test=[scored(4, 1.0), scored(1, 1.0), scored(2, 1.0)],
    )
    assert course.chosen("development") == 2
    assert course.chosen("test") == 0
    found = course.to_dict(np.zeros(4, bool))
    assert found["selected"]["test"]["accuracy"] == 1.0
    assert found["selected"]["development"]["accuracy"] == 0.5
    assert found["selected"]["development"]["improvised"] is None
    assert [each["test"][0] for each in found["epochs"]] == [1.0, 0.25, 0.5]
