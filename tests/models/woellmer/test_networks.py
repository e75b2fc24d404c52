"""LSTM and BLSTM over a dialogue: who sees what, noise, masks, and that both learn context."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from affectstream_models.woellmer.networks import DialogueLstm

pytestmark = pytest.mark.usefixtures("one_thread")

INPUTS, CLASSES, DIALOGUES, UTTERANCES = 5, 3, 4, 7
Network = Callable[..., DialogueLstm]
blstm = partial(DialogueLstm, bidirectional=True)
NETWORKS: list[Network] = [DialogueLstm, blstm]


def make(network: Network, seed: int = 0, **sizes: float) -> DialogueLstm:
    torch.manual_seed(seed)
    return network(INPUTS, CLASSES, **sizes)


def dialogues(seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(DIALOGUES, UTTERANCES, INPUTS, generator=generator)


def mask_of(*lengths: int) -> Tensor:
    return torch.arange(UTTERANCES) < torch.tensor(lengths).unsqueeze(1)


@pytest.mark.parametrize("network", NETWORKS)
def test_each_utterance_has_logits(network: Network) -> None:
    logits = make(network).eval()(dialogues())
    assert logits.shape == (DIALOGUES, UTTERANCES, CLASSES)
    assert logits.isfinite().all()


def test_the_sizes_are_the_papers() -> None:
    assert make(DialogueLstm).lstm.hidden_size == 128
    assert make(DialogueLstm).head.in_features == 128
    assert make(blstm).head.in_features == 256
    assert make(blstm).noise == 0.6


def test_the_lstm_is_causal() -> None:
    network = make(DialogueLstm).eval()
    first, second = dialogues(1), dialogues(2)
    second[:, :4] = first[:, :4]
    torch.testing.assert_close(network(first)[:, :4], network(second)[:, :4], rtol=0, atol=0)
    assert not torch.allclose(network(first)[:, 4:], network(second)[:, 4:])


def test_the_lstm_remembers() -> None:
    network = make(DialogueLstm).eval()
    first, second = dialogues(1), dialogues(2)
    second[:, 1:] = first[:, 1:]
    assert not torch.allclose(network(first)[:, 1], network(second)[:, 1])


def test_the_blstm_sees_what_comes_later() -> None:
    network = make(blstm).eval()
    first, second = dialogues(1), dialogues(2)
    second[:, :4] = first[:, :4]
    assert not torch.allclose(network(first)[:, 3], network(second)[:, 3])


@pytest.mark.parametrize("network", NETWORKS)
def test_padding_changes_nothing(network: Network) -> None:
    model = make(network).eval()
    lengths = (3, 7, 1, 5)
    features = dialogues()
    logits = model(features, mask_of(*lengths))
    assert logits.shape == (DIALOGUES, UTTERANCES, CLASSES)
    for row, length in enumerate(lengths):
        alone = model(features[row : row + 1, :length])
        torch.testing.assert_close(logits[row, :length], alone[0], rtol=1e-5, atol=1e-6)
        assert (logits[row, length:] == 0).all()
    other = torch.where(mask_of(*lengths).unsqueeze(2), features, torch.nan)
    torch.testing.assert_close(model(other, mask_of(*lengths)), logits, rtol=0, atol=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_all_may_be_shorter_than_the_batch(network: Network) -> None:
    logits = make(network).eval()(dialogues(), mask_of(2, 3, 2, 1))
    assert logits.shape == (DIALOGUES, UTTERANCES, CLASSES)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (mask_of(3, 0, 1, 2), "no utterance"),
        (mask_of(3, 7, 1, 2).flip(1), "come first"),
        (mask_of(3, 7, 1), "want a mask"),
        (mask_of(3, 7, 1, 2).float(), "want a mask"),
    ],
)
def test_masks_that_are_none_are_refused(network: Network, mask: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(network)(dialogues(), mask)


@pytest.mark.parametrize("network", NETWORKS)
def test_noise_is_for_training_only_and_seeded(network: Network) -> None:
    model = make(network).eval()
    features = dialogues()
    kept = features.clone()
    torch.testing.assert_close(model(features), model(features), rtol=0, atol=0)
    quiet = model(features)
    model.train()
    torch.manual_seed(5)
    noisy = model(features)
    assert not torch.allclose(noisy, quiet)
    assert not torch.allclose(noisy, model(features))
    torch.manual_seed(5)
    torch.testing.assert_close(model(features), noisy, rtol=0, atol=0)
    torch.testing.assert_close(features, kept, rtol=0, atol=0)
    silent = make(network, noise=0.0).train()
    torch.testing.assert_close(silent(features), quiet, rtol=0, atol=0)


def test_the_noise_has_the_stated_deviation() -> None:
    model = make(DialogueLstm)
    seen: list[Tensor] = []
    model.lstm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].data))
    torch.manual_seed(0)
    model(torch.zeros(20, 200, INPUTS))
    assert seen[0].std().item() == pytest.approx(0.6, abs=0.02)
    assert seen[0].mean().item() == pytest.approx(0.0, abs=0.02)


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(ValueError, match="deviation"):
        make(DialogueLstm, noise=-0.1)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_finite_gradient_reaches_every_parameter(network: Network) -> None:
    model = make(network)
    mask = mask_of(3, 7, 2, 5)
    targets = torch.arange(int(mask.sum())) % CLASSES
    nn.functional.cross_entropy(model(dialogues(), mask)[mask], targets).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.abs().max() > 0, path


def talk(seed: int, count: int = 48, utterances: int = 12) -> tuple[Tensor, Tensor]:
    """A class stays on with 0.85 and shows little of itself: features (B, U, 5), labels (B, U)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(CLASSES, (count, utterances), generator=generator)
    stays = torch.rand(count, utterances, generator=generator) < 0.85
    labels = drawn.clone()
    for step in range(1, utterances):
        labels[:, step] = torch.where(stays[:, step], labels[:, step - 1], drawn[:, step])
    noise = torch.randn(count, utterances, INPUTS, generator=generator)
    return noise + nn.functional.one_hot(labels, INPUTS), labels


def accuracy_after_training(network: Network) -> float:
    model = make(network, cells=32)
    features, labels = talk(1)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(features).transpose(1, 2), labels).backward()
        optimiser.step()
    features, labels = talk(2)
    with torch.no_grad():
        hits: Tensor = model.eval()(features).argmax(dim=2) == labels
    return hits.float().mean().item()


def test_both_learn_from_context_and_the_same_each_time() -> None:
    features, labels = talk(2)
    alone = (features[..., :CLASSES].argmax(dim=2) == labels).float().mean().item()
    causal = accuracy_after_training(DialogueLstm)
    assert causal == accuracy_after_training(DialogueLstm)
    assert causal > alone > 1 / CLASSES + 0.15  # alone, no classifier does better than this
    assert accuracy_after_training(blstm) > causal
