"""Every network of Tripathi and Beigi passes one suite; short inputs, the paper's widths."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affectstream_models.tripathi.attention import AttentionLstm, BahdanauAttention
from affectstream_models.tripathi.mocap import ALL_COLUMNS
from affectstream_models.tripathi.networks import (
    NETWORKS,
    NetworkSizes,
    build_network,
    optimiser_of,
)
from affectstream_models.tripathi.text import given_embedding

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = 8
VOCABULARY = 20
GLOVE_DIM = 300
NAMES = sorted(NETWORKS)
COMBINED = [name for name in NAMES if len(NETWORKS[name].inputs) > 1]
WITH_TEXT = [name for name in NAMES if "tokens" in NETWORKS[name].inputs]
IGNORING = [name for name in NAMES if NETWORKS[name].ignores_padding]

Batch = dict[str, Tensor]


def short() -> NetworkSizes:
    vectors = torch.randn(VOCABULARY, GLOVE_DIM, generator=torch.Generator().manual_seed(7))
    return NetworkSizes(frames=5, length=8, rows=10, vocabulary=VOCABULARY, vectors=vectors)


def make(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(name, short())


def batch_of(name: str, seed: int = 1) -> Batch:
    """Random inputs; texts of one to eight words, filled up in front."""
    generator = torch.Generator().manual_seed(seed)
    sizes = short()
    tokens = torch.randint(1, VOCABULARY, (BATCH, sizes.length), generator=generator)
    words = torch.randint(1, sizes.length + 1, (BATCH, 1), generator=generator)
    tokens[torch.arange(sizes.length) < sizes.length - words] = 0
    first, last = NETWORKS[name].columns or (0, ALL_COLUMNS)
    everything = {
        "speech": torch.randn(BATCH, sizes.frames, 34, generator=generator),
        "tokens": tokens,
        "mocap": torch.randn(BATCH, sizes.rows, ALL_COLUMNS, generator=generator)[..., first:last],
    }
    return {argument: everything[argument] for argument in NETWORKS[name].inputs}


def labels() -> Tensor:
    return torch.arange(BATCH) % 4


def count(name: str) -> int:
    """Count the parameters at the paper's sizes, without the memory for them."""
    with torch.device("meta"):
        vectors = torch.empty(VOCABULARY, GLOVE_DIM)
        network = build_network(name, NetworkSizes(vocabulary=VOCABULARY, vectors=vectors))
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_row_of_the_paper_is_there_once() -> None:
    rows = [network.row for network in NETWORKS.values()]
    assert len(set(rows)) == len(rows) == 4 + 3 + 2 + 2 + 3 + 1 + 3 + 3


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_a_number_for_each_class(name: str) -> None:
    network = make(name).eval()
    batch = batch_of(name)
    logits = network(**batch)
    assert logits.shape == (BATCH, 4)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    alone = network(**{argument: rows[:1] for argument, rows in batch.items()})
    torch.testing.assert_close(alone, logits[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_says_what_the_processor_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU: torch finds none on this machine")
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
        monkeypatch.setattr(backend, "allow_tf32", False)
    network = make(name).eval()
    batch = batch_of(name)
    with torch.inference_mode():
        expected = network(**batch)
        there = {argument: rows.cuda() for argument, rows in batch.items()}
        found = network.cuda()(**there)
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_finite_gradient_reaches_every_parameter(name: str) -> None:
    network = make(name)
    nn.functional.cross_entropy(network(**batch_of(name)), labels()).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.abs().max() > 0, path


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_bits(name: str) -> None:
    batch = batch_of(name)
    said = []
    for seed in (3, 3, 4):
        network = make(name, seed)
        torch.manual_seed(5)  # the dropouts'
        optimiser = optimiser_of(NETWORKS[name].optimiser, network.parameters())
        nn.functional.cross_entropy(network(**batch), labels()).backward()
        optimiser.step()
        said.append(network.eval()(**batch))
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_says_the_same(name: str, tmp_path: Path) -> None:
    network, other = make(name, 0).eval(), make(name, 1).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    batch = batch_of(name)
    assert torch.equal(network(**batch), other(**batch))


@pytest.mark.parametrize("name", NAMES)
def test_it_can_learn_eight_samples_by_heart(name: str) -> None:
    network = make(name)
    batch = batch_of(name)
    # Adam for all: Adadelta is slow to start, and what is tested is the network.
    optimiser = optimiser_of("adam", network.parameters())
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(**batch), labels())
        if loss < 0.1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (network.eval()(**batch).argmax(dim=1) == labels()).all()


@pytest.mark.parametrize("name", IGNORING)
def test_what_fills_up_a_text_changes_nothing(name: str) -> None:
    network = make(name).eval()
    batch = batch_of(name)
    tokens = batch["tokens"]
    at_the_end = torch.zeros_like(tokens)
    for row, text in zip(at_the_end, tokens, strict=True):
        row[: len(text[text != 0])] = text[text != 0]
    longer = nn.functional.pad(at_the_end, (3, 30))
    expected = network(**batch)
    for same in (at_the_end, longer):
        assert torch.equal(network(**{**batch, "tokens": same}), expected)
    changed = torch.where(tokens == 0, 0, tokens % (VOCABULARY - 1) + 1)
    assert not torch.equal(network(**{**batch, "tokens": changed}), expected)


@pytest.mark.parametrize("name", WITH_TEXT)
def test_a_text_without_words_is_no_trouble(name: str) -> None:
    batch = batch_of(name)
    batch["tokens"][:2] = 0
    assert make(name).eval()(**batch).isfinite().all()


@pytest.mark.parametrize("name", WITH_TEXT)
def test_the_row_that_fills_up_stays_zeros(name: str) -> None:
    network = make(name)
    optimiser = optimiser_of(NETWORKS[name].optimiser, network.parameters())
    nn.functional.cross_entropy(network(**batch_of(name)), labels()).backward()
    optimiser.step()
    tables = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    assert len(tables) == 1
    assert not tables[0].weight[0].any()


@pytest.mark.parametrize("name", COMBINED)
def test_a_masked_modality_changes_nothing(name: str) -> None:
    network = make(name).eval()
    batch, other = batch_of(name, 1), batch_of(name, 2)
    everything = {f"{argument}_mask": torch.ones(BATCH, 1) for argument in batch}
    assert torch.equal(network(**batch, **everything), network(**batch))
    for argument in batch:
        changed = {**batch, argument: other[argument]}
        mask = torch.ones(BATCH, 1)
        mask[: BATCH // 2] = 0
        masks = {f"{argument}_mask": mask}
        here, there = network(**batch, **masks), network(**changed, **masks)
        assert torch.equal(here[: BATCH // 2], there[: BATCH // 2]), argument
        assert (here[BATCH // 2 :] != there[BATCH // 2 :]).any(dim=1).all(), argument
        assert (here[: BATCH // 2] != network(**batch)[: BATCH // 2]).any(dim=1).all()


def lstm(inputs: int, units: int) -> int:
    return 4 * units * (inputs + units + 2)  # torch has two biases


def dense(*widths: int) -> int:
    return sum((a + 1) * b for a, b in pairwise(widths))


def conv(size: int, *filters: int) -> int:
    return sum((size * a + 1) * b for a, b in pairwise(filters))


ATTENTION = 128 * 128 + (128 + 1) * 128 + 128 + (128 + 1) * 128 + lstm(128, 128)
BOTH_WAYS = 2 * (128 * 128 + (256 + 1) * 128 + 128 + (256 + 1) * 128 + lstm(256, 128))
GLOVE, LEARNED = VOCABULARY * GLOVE_DIM, VOCABULARY * 128
TEXT_BRANCH = lstm(300, 256) + lstm(256, 256) + dense(256, 256)
SPEECH_BRANCH = dense(3400, 1024, 256)
# 200 x 189 halved five times, rounded up, is 7 x 6.
MOCAP_BRANCH = conv(9, 1, 32, 64, 64, 128, 128) + dense(7 * 6 * 128, 256)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("speech-1", 4_139_780),
        ("speech-1", dense(3400, 1024, 512, 256, 4)),
        ("speech-2", 2_044_420),
        ("speech-2", lstm(34, 512) + lstm(512, 256) + dense(256, 512, 4)),
        ("speech-3", lstm(34, 128) + ATTENTION + dense(100 * 128, 512, 4)),
        ("speech-4", 2 * lstm(34, 128) + BOTH_WAYS + dense(100 * 256, 512, 4)),
        ("text-1", 4_457_188 + GLOVE),
        ("text-1", conv(3, 300, 256, 128, 64, 32) + dense(500 * 32, 256, 4) + GLOVE),
        ("text-2", lstm(300, 512) + lstm(512, 256) + dense(256, 512, 4) + GLOVE),
        ("text-3", lstm(128, 512) + lstm(512, 256) + dense(256, 512, 4) + LEARNED),
        ("mocap-head-1", lstm(6, 256) + dense(256, 128, 4)),
        ("mocap-head-2", dense(1200, 256, 4)),
        ("mocap-hand-1", lstm(18, 256) + dense(256, 128, 4)),
        ("mocap-hand-2", dense(3600, 256, 4)),
        ("mocap-face-1", lstm(165, 512) + lstm(512, 256) + dense(256, 512, 4)),
        ("mocap-face-2", 1_654_724),
        ("mocap-face-2", conv(9, 1, 32, 64, 64, 128, 128) + dense(7 * 6 * 128, 256, 4)),
        ("mocap-face-3", 19_137_348),
        ("mocap-combined-3", 20_841_284),
        (
            "text-speech-1",
            dense(500 * 128, 1024, 512, 256)
            + dense(3400, 1024, 512, 256)
            + dense(512, 256, 4)
            + LEARNED,
        ),
        (
            "text-speech-2",
            lstm(128, 256)
            + lstm(256, 256)
            + dense(256, 256)
            + SPEECH_BRANCH
            + dense(512, 256, 4)
            + LEARNED,
        ),
        ("text-speech-3", TEXT_BRANCH + SPEECH_BRANCH + dense(512, 256, 4) + GLOVE),
        (
            "text-speech-mocap-4",
            TEXT_BRANCH + SPEECH_BRANCH + MOCAP_BRANCH + dense(768, 256, 4) + GLOVE,
        ),
        (
            "text-speech-mocap-5",
            TEXT_BRANCH
            + SPEECH_BRANCH
            + lstm(189, 512)
            + lstm(512, 256)
            + dense(256, 256)
            + dense(768, 256, 4)
            + GLOVE,
        ),
        (
            "text-speech-mocap-6",
            TEXT_BRANCH
            + lstm(34, 128)
            + ATTENTION
            + dense(100 * 128, 256)
            + MOCAP_BRANCH
            + dense(768, 256, 4)
            + GLOVE,
        ),
    ],
)
def test_it_has_as_many_parameters_as_counted_by_hand(name: str, parameters: int) -> None:
    assert count(name) == parameters


def test_attention_weighs_the_outputs_that_the_scores_prefer() -> None:
    torch.manual_seed(0)
    attention = BahdanauAttention(3, 5)
    query, outputs = torch.randn(2, 5), torch.randn(2, 4, 3)
    context, weights = attention(query, attention.keys(outputs), outputs)
    for b in range(2):
        scores = [
            attention.score(torch.tanh(attention.of_query(query[b]) + attention.of_outputs(o)))
            for o in outputs[b]
        ]
        expected = torch.softmax(torch.cat(scores), dim=0)
        torch.testing.assert_close(weights[b], expected)
        torch.testing.assert_close(context[b], expected @ outputs[b])


def test_the_decoder_starts_at_the_first_output_and_sees_them_all() -> None:
    torch.manual_seed(0)
    decoder = AttentionLstm(3, 5)
    outputs = torch.randn(1, 4, 3, requires_grad=True)
    states = decoder(outputs)
    assert states.shape == (1, 4, 5)
    states[0, 0].sum().backward()
    assert outputs.grad is not None
    assert (outputs.grad != 0).all()  # the first step already depends on the last output
    later = outputs.detach().clone()
    later[0, 1:] = later[0, [3, 1, 2]]
    torch.testing.assert_close(decoder(later), states)  # the order of the others means nothing


def test_given_vectors_are_copied_and_trained() -> None:
    vectors = torch.ones(4, 3)
    table = given_embedding(vectors)
    assert table.weight.requires_grad
    assert vectors[0].all()
    assert table.weight.tolist() == [[0.0] * 3, *[[1.0] * 3] * 3]
    with pytest.raises(ValueError, match="word vectors must be"):
        given_embedding(torch.ones(4))


def test_what_cannot_be_built_says_why() -> None:
    with pytest.raises(ValueError, match="no network 'speech-9'; there are speech-1"):
        build_network("speech-9")
    with pytest.raises(ValueError, match="starts at word vectors"):
        build_network("text-2")
    with pytest.raises(ValueError, match="say the vocabulary's size"):
        build_network("text-3")
