"""Losses are their formulas, in value and in gradient, and the focal loss with gamma 0 is cross entropy."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ktrdr.execution.losses import focal_loss, hits, row_loss, weighted_mean
from ktrdr.execution.models.predictor import Rescaler
from ktrdr.execution.strategy.learning import Training


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(40, 3, generator=generator), torch.randint(0, 3, (40,), generator=generator)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_its_formula(batch: tuple[torch.Tensor, torch.Tensor], gamma: float) -> None:
    logits, labels = batch
    p = torch.softmax(logits, 1)[torch.arange(40), labels]
    torch.testing.assert_close(focal_loss(logits, labels, gamma), -((1 - p) ** gamma) * p.log())


@pytest.mark.parametrize("gamma", [0.5, 2.0, 3.0])
def test_the_focal_loss_has_the_gradient_of_its_formula(gamma: float) -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    assert torch.autograd.gradcheck(lambda values: focal_loss(values, labels, gamma), logits)


def test_a_sure_and_right_row_has_a_finite_gradient() -> None:
    logits = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0]), 0.5).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_gamma_zero_and_cross_entropy_are_the_same(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = batch
    expected = functional.cross_entropy(logits, labels, reduction="none")
    assert torch.equal(row_loss(Training(loss="focal", focal_gamma=0.0), nn.Identity())(logits, labels), expected)
    assert torch.equal(row_loss(Training(loss="cross_entropy"), nn.Identity())(logits, labels), expected)


@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_a_loss_of_numbers_is_that_of_labels_over_their_variance(loss: str) -> None:
    """`huber_delta` is in the labels' unit: scaling numbers and delta together scales the loss by their variance."""
    generator = torch.Generator().manual_seed(3)
    rescaler = Rescaler()
    rescaler.load_state_dict({"mean": torch.tensor(0.001), "spread": torch.tensor(0.004)})
    answers, labels = torch.randn(40, 1, generator=generator), 0.004 * torch.randn(40, generator=generator)
    settings = Training.model_validate({"labels": {"source": "forward_return"}, "loss": loss, "huber_delta": 0.003})
    predicted = rescaler(answers)[:, 0]
    if loss == "huber":
        theirs = functional.huber_loss(predicted, labels, reduction="none", delta=0.003)
    else:
        theirs = functional.mse_loss(predicted, labels, reduction="none")
    torch.testing.assert_close(row_loss(settings, rescaler)(answers, labels), theirs / 0.004**2)


def test_a_hit_is_the_right_class_or_the_right_sign() -> None:
    logits = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    assert hits(logits, torch.tensor([1, 1])).tolist() == [True, False]
    assert hits(torch.tensor([[0.1], [-0.2], [0.0]]), torch.tensor([0.5, 0.5, 0.5])).tolist() == [True, False, False]


def test_the_weighted_mean_is_torchs(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = batch
    weights = torch.tensor([1.0, 5.0, 0.5])
    ours = weighted_mean(functional.cross_entropy(logits, labels, reduction="none"), weights[labels])
    torch.testing.assert_close(ours, functional.cross_entropy(logits, labels, weight=weights))
