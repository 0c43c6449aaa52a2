"""The trainer honours every setting, keeps the truly best weights, and is the hand-written loop's equal."""

import copy
import threading
from typing import Any

import pytest
import sklearn.metrics
import torch
from torch import nn

from ktrdr.errors import TrainingCancelled, TrainingFailed
from ktrdr.execution.dataset import Examples
from ktrdr.execution.epochs import Epoch, TrainingHistory
from ktrdr.execution.learner import batch_size_of
from ktrdr.execution.losses import row_loss
from ktrdr.execution.model_trainer import ModelTrainer
from ktrdr.execution.models.mlp import Mlp, MlpArchitecture
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.strategy.learning import Training


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(rows: int, seed: int, noise: float = 0.5) -> Examples:
    features = torch.rand(rows, 4, generator=generator(seed))
    signal = features[:, 0] + noise * torch.rand(rows, generator=generator(seed + 100))
    labels = (signal * 2).long().clamp(max=2)
    return Examples(features=features, labels=labels, weights=torch.ones(rows))


TRAIN, VALIDATION = examples(500, 1), examples(200, 2)


def new_model(dropout: float = 0.0) -> Predictor:
    architecture = MlpArchitecture(hidden_layers=(16, 8), dropout=dropout)
    model = Mlp(architecture=architecture).build(4, 3, generator(7))
    model.use_generator(generator(8))
    return model


def trained(model: Predictor | None = None, **settings: Any) -> tuple[Predictor, TrainingHistory]:
    model = model or new_model()
    settings = {"epochs": 5, "batch_size": 64, **settings}
    history = ModelTrainer(Training(**settings)).train(model, TRAIN, VALIDATION, shuffle=generator(9))
    return model, history


def same(left: Predictor, right: Predictor) -> bool:
    others = right.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in left.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=1e-4)),
        ({"optimizer": "adamw"}, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=1e-4)),
        ({"optimizer": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=1e-4, momentum=0.9)),
        (
            {"optimizer": "rmsprop", "momentum": 0.5},
            lambda p: torch.optim.RMSprop(p, lr=0.01, weight_decay=1e-4, momentum=0.5),
        ),
    ],
)
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_it_learns_what_a_hand_written_loop_learns(settings: dict[str, Any], optimizer: Any, loss: str) -> None:
    """torch's own optimizers, clipping and modules on the same batches: equal but for the order of sums."""
    ours, _ = trained(learning_rate=0.01, loss=loss, gradient_clip=0.5, epochs=3, **settings)
    theirs = new_model()
    steps, shuffle, best = optimizer(theirs.parameters()), generator(9), (float("inf"), None)
    loss_of = row_loss(Training(loss=loss), nn.Identity())
    for _ in range(3):
        order = torch.randperm(500, generator=shuffle)
        for start in range(0, 500, 64):
            batch = order[start : start + 64]
            steps.zero_grad()
            loss_of(theirs(TRAIN.features[batch]), TRAIN.labels[batch]).mean().backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            steps.step()
        with torch.no_grad():
            value = loss_of(theirs(VALIDATION.features), VALIDATION.labels).mean().item()
        if value < best[0]:
            best = (value, copy.deepcopy(theirs.state_dict()))
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, best[1][name], rtol=1e-4, atol=1e-5)


def test_the_best_weights_are_kept_and_do_not_alias_the_live_ones() -> None:
    """With a rate that ruins the model later, the model has the best epoch's weights, not the last one's."""
    model, history = trained(learning_rate=0.1, epochs=60, early_stopping=False, batch_size=16)
    assert history.best_epoch < len(history.epochs)
    loss = ModelTrainer(Training()).loss(model, VALIDATION)
    assert loss == pytest.approx(history.best.val_loss, rel=1e-6)
    assert loss == pytest.approx(min(epoch.val_loss for epoch in history.epochs), rel=1e-6)


def test_early_stopping_waits_for_its_patience_and_no_longer() -> None:
    _, history = trained(learning_rate=0.3, epochs=200, early_stopping={"patience": 4, "min_delta": 0.0})
    assert history.stopped_early
    assert len(history.epochs) == history.best_epoch + 4


def test_min_delta_shortens_patience_but_not_the_choice_of_weights() -> None:
    _, history = trained(learning_rate=1e-5, epochs=50, early_stopping={"patience": 3, "min_delta": 1.0})
    assert len(history.epochs) == 4
    assert history.best_epoch == 4


def test_val_accuracy_can_be_monitored() -> None:
    _, history = trained(
        learning_rate=0.02, epochs=40, early_stopping={"patience": 5, "min_delta": 0.0, "monitor": "val_accuracy"}
    )
    assert history.best.val_accuracy == max(epoch.val_accuracy for epoch in history.epochs)


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ({"type": "step", "step_size": 2, "gamma": 0.1}, [0.01, 0.01, 0.001, 0.001, 0.0001]),
        ({"type": "exponential", "gamma": 0.5}, [0.01, 0.005, 0.0025, 0.00125, 0.000625]),
        ({"type": "cosine", "t_max": 4}, [0.01, 0.0085355, 0.005, 0.0014645, 0.0]),
        (False, [0.01] * 5),
    ],
)
def test_the_learning_rate_follows_its_schedule(scheduler: Any, expected: list[float]) -> None:
    _, history = trained(learning_rate=0.01, lr_scheduler=scheduler)
    assert [epoch.learning_rate for epoch in history.epochs] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_a_plateau_lowers_the_rate() -> None:
    _, history = trained(
        learning_rate=0.5, epochs=30, lr_scheduler={"type": "reduce_on_plateau", "factor": 0.1, "patience": 1}
    )
    assert history.epochs[-1].learning_rate < 0.5


def test_one_cycle_steps_every_batch_and_ends_near_nothing() -> None:
    _, history = trained(learning_rate=0.001, epochs=6, lr_scheduler={"type": "one_cycle", "max_lr": 0.05})
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert max(rates) > 0.02
    assert rates[-1] < rates[1]


def test_clipping_bounds_the_step() -> None:
    """Plain gradient descent moves by rate · gradient; clipped to 1e-3, one batch moves at most 1e-3 · rate."""
    before = new_model()
    after, _ = trained(
        optimizer="sgd", learning_rate=1.0, weight_decay=0.0, gradient_clip=1e-3, epochs=1, batch_size=500
    )
    moved = torch.cat(
        [(new - old).reshape(-1) for new, old in zip(after.parameters(), before.parameters(), strict=True)]
    )
    assert 0 < moved.norm().item() <= 1e-3 * 1.001


def test_row_weights_decide_what_is_learnt() -> None:
    """Rows of weight 0 teach nothing: garbage labels there leave the same weights."""
    weights = (torch.arange(500) < 250).float()
    garbage = TRAIN.labels.clone()
    garbage[250:] = 0
    models = []
    for labels in (TRAIN.labels, garbage):
        model = new_model()
        data = Examples(features=TRAIN.features, labels=labels, weights=weights)
        ModelTrainer(Training(epochs=3)).train(model, data, VALIDATION, shuffle=generator(9))
        models.append(model)
    assert same(*models)


def test_the_same_seed_gives_equal_weights_whatever_the_global_generator_does() -> None:
    torch.manual_seed(1)
    first, _ = trained(new_model(dropout=0.3))
    torch.manual_seed(2)
    torch.rand(10)
    second, _ = trained(new_model(dropout=0.3))
    assert same(first, second)
    other = new_model(dropout=0.3)
    ModelTrainer(Training(epochs=5, batch_size=64)).train(other, TRAIN, VALIDATION, shuffle=generator(10))
    assert not same(first, other)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(new_model(dropout=0.3))
    assert torch.equal(torch.rand(3), expected)


def test_trainings_in_two_threads_do_not_touch_each_other() -> None:
    alone, _ = trained(new_model(dropout=0.3), epochs=20)
    results: list[Predictor] = []
    threads = [
        threading.Thread(target=lambda: results.append(trained(new_model(dropout=0.3), epochs=20)[0])) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert all(same(alone, result) for result in results)


def test_a_cancel_stops_within_one_batch() -> None:
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    with pytest.raises(TrainingCancelled):
        ModelTrainer(Training(epochs=100, batch_size=50)).train(
            new_model(), TRAIN, VALIDATION, shuffle=generator(1), is_cancelled=is_cancelled
        )
    assert asked == 11


def test_every_epoch_is_told() -> None:
    told: list[Epoch] = []
    history = ModelTrainer(Training(epochs=4)).train(
        new_model(), TRAIN, VALIDATION, shuffle=generator(1), on_epoch=told.append
    )
    assert told == history.epochs
    assert [epoch.epoch for epoch in told] == [1, 2, 3, 4]


def test_a_loss_that_is_no_number_fails_with_advice() -> None:
    broken = Examples(features=TRAIN.features * float("inf"), labels=TRAIN.labels, weights=TRAIN.weights)
    with pytest.raises(TrainingFailed, match="learning_rate"):
        ModelTrainer(Training(epochs=2)).train(new_model(), broken, VALIDATION, shuffle=generator(1))


def test_the_training_loss_without_dropout_is_the_evaluations_own() -> None:
    """With a rate of almost nothing, the loss over the batches is the loss of the whole part."""
    model, history = trained(learning_rate=1e-12, epochs=1, loss="focal")
    assert ModelTrainer(Training(loss="focal")).loss(model, TRAIN) == pytest.approx(history.best.train_loss, rel=1e-5)


class Greedy(nn.Module):
    """A network that runs out of memory on batches of more than so many rows, a few batches into each epoch."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner = inner
        self.most = most
        self.batches = 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self.batches += self.training
        if self.training and len(features) > self.most and self.batches % 3 == 0:
            raise torch.OutOfMemoryError("out of memory")
        return self.inner(features)


@pytest.mark.parametrize("scheduler", [None, {"type": "one_cycle"}])
def test_batches_halve_when_memory_runs_out_and_nothing_of_the_epoch_is_kept(scheduler: Any) -> None:
    """From 64 rows to 16: the weights are those of a training that had batches of 16 from its start."""
    greedy = new_model(dropout=0.3)
    greedy.network = Greedy(greedy.network, 16)
    _, history = trained(greedy, epochs=3, batch_size=64, lr_scheduler=scheduler)
    assert (history.batch_size, history.first_batch_size) == (16, 64)
    assert len(history.epochs) == 3
    if scheduler is None:
        modest, expected = trained(new_model(dropout=0.3), epochs=3, batch_size=16)
        ours = [tensor for name, tensor in greedy.state_dict().items() if "network" in name]
        theirs = [tensor for name, tensor in modest.state_dict().items() if "network" in name]
        assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))
        assert [epoch.train_loss for epoch in history.epochs] == [epoch.train_loss for epoch in expected.epochs]


def test_memory_for_less_than_a_row_fails_with_advice() -> None:
    greedy = new_model()
    greedy.network = Greedy(greedy.network, 0)
    with pytest.raises(TrainingFailed, match="smaller model"):
        trained(greedy, batch_size=4)


@pytest.mark.parametrize(("rows", "size"), [(10, 32), (3_416, 32), (5_000, 64), (72_720, 1024), (1_000_000, 1024)])
def test_an_automatic_batch_size_makes_about_a_hundred_batches(rows: int, size: int) -> None:
    assert batch_size_of(Training(batch_size="auto"), rows) == size


def test_details_tell_of_gradients_and_classes_and_change_nothing() -> None:
    plain, _ = trained(epochs=2)
    model = new_model()
    history = ModelTrainer(Training(epochs=2, batch_size=64), detailed=True).train(
        model, TRAIN, VALIDATION, shuffle=generator(9)
    )
    assert same(plain, model)
    details = history.epochs[0].details
    assert 0 < details["gradient_norm_mean"] <= details["gradient_norm_max"]
    with torch.no_grad():
        said = model(VALIDATION.features).argmax(dim=1).numpy()
    last = min(history.epochs, key=lambda epoch: epoch.val_loss).details
    truth = VALIDATION.labels.numpy()
    recalls = sklearn.metrics.recall_score(truth, said, average=None)
    assert [last[f"val_recall_{name}"] for name in ("BUY", "HOLD", "SELL")] == pytest.approx(recalls)
