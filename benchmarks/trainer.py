"""ModelTrainer against the loops that one would write by hand, on the same data, model, loss and settings.

    python -m benchmarks trainer

The loop slices tensors and uses torch's modules as they come; it does the same work: validation after each epoch, a
copy of the best weights, clipping, weighted focal loss. A second one takes its batches from a DataLoader.
"""

import copy
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measure import Ratio, interleaved, show
from ktrdr.contracts.training import CancellationToken, Phase
from ktrdr.execution.dataset import Examples
from ktrdr.execution.losses import focal_loss
from ktrdr.execution.model_trainer import Epoch, ModelTrainer
from ktrdr.execution.models.mlp import Mlp, MlpArchitecture
from ktrdr.execution.strategy.learning import Training
from ktrdr.orchestration.progress_coordinator import ProgressCoordinator

FEATURES, CLASSES, BATCH, RATE, DECAY, DROPOUT = 12, 3, 256, 0.001, 0.0001, 0.3


def data(rows: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(rows, FEATURES, generator=generator)
    labels = torch.randint(0, CLASSES, (rows,), generator=generator)
    return Examples(features=features, labels=labels, weights=torch.rand(rows, generator=generator) + 0.5)


def network() -> nn.Module:
    layers = [
        nn.Linear(FEATURES, 64),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
    ]
    return nn.Sequential(*layers, nn.Linear(32, CLASSES))


def by_hand(train: Examples, validation: Examples, epochs: int, *, loader: bool = False, fused: bool = False) -> float:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY, fused=fused)
    best, best_state = float("inf"), None
    batches = _loaded(train) if loader else partial(_sliced, train)
    begun = time.perf_counter()
    for _ in range(epochs):
        model.train()
        for features, labels, weights in batches():
            optimizer.zero_grad()
            loss = (focal_loss(model(features), labels, 2.0) * weights).mean()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(validation.features)
            losses = focal_loss(logits, validation.labels, 2.0) * validation.weights
            value = (losses.sum() / validation.weights.sum()).item()
            (logits.argmax(dim=1) == validation.labels).float().mean().item()
        if value < best:
            best, best_state = value, copy.deepcopy(model.state_dict())
    if best_state is not None:
        model.load_state_dict(best_state)
    return time.perf_counter() - begun


def _sliced(train: Examples):  # type: ignore[no-untyped-def]
    order = torch.randperm(len(train.labels))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        yield train.features[batch], train.labels[batch], train.weights[batch]


def _loaded(train: Examples) -> Callable[[], DataLoader]:
    loader = DataLoader(TensorDataset(train.features, train.labels, train.weights), batch_size=BATCH, shuffle=True)
    return lambda: loader


def ours(train: Examples, validation: Examples, epochs: int, *, attached: bool) -> float:
    architecture = MlpArchitecture(hidden_layers=(64, 32), dropout=DROPOUT)
    model = Mlp(architecture=architecture).build(FEATURES, CLASSES, torch.Generator().manual_seed(1))
    model.use_generator(torch.Generator().manual_seed(2))
    settings = Training(epochs=epochs, batch_size=BATCH, learning_rate=RATE, weight_decay=DECAY, loss="focal")
    shuffle, token = torch.Generator().manual_seed(3), CancellationToken()
    trainer = ModelTrainer(settings)
    begun = time.perf_counter()
    if attached:
        coordinator = ProgressCoordinator((lambda _: None,))

        def tell(epoch: Epoch) -> None:
            coordinator(Phase.TRAINING, f"Epoch {epoch.epoch}", epochs=epochs, **vars(epoch))

        trainer.train(model, train, validation, shuffle=shuffle, on_epoch=tell, is_cancelled=token.is_cancelled)
    else:
        trainer.train(model, train, validation, shuffle=shuffle)
    return time.perf_counter() - begun


def attachments_per_batch() -> dict[str, float]:
    """What cancellation costs a batch, and progress an epoch, measured apart from the training they sit in."""
    token, count = CancellationToken(), 1_000_000
    begun = time.perf_counter()
    for _ in range(count):
        pass
    empty = time.perf_counter() - begun
    is_cancelled = token.is_cancelled
    begun = time.perf_counter()
    for _ in range(count):
        if is_cancelled():
            raise RuntimeError
    asked = time.perf_counter() - begun
    coordinator = ProgressCoordinator((lambda _: None,))
    begun = time.perf_counter()
    for epoch in range(20_000):
        coordinator(Phase.TRAINING, "Epoch", epoch=epoch, epochs=20_000, train_loss=1.0, val_loss=1.0)
    told = time.perf_counter() - begun
    return {
        "cancellation, ns a batch": round((asked - empty) / count * 1e9, 1),
        "progress, ns an epoch": round(told / 20_000 * 1e9),
    }


def main(*, half_width: float = 0.005, seconds: float = 300.0) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    ratios: list[Ratio] = []
    for rows, epochs in ((3_416, 20), (344_966, 1)):
        train, validation = data(rows, 1), data(rows // 5, 2)
        attached = partial(ours, train, validation, epochs, attached=True)
        for name, run, against, other, width in (
            ("trainer, attached", attached, "sliced loop", partial(by_hand, train, validation, epochs), half_width),
            (
                "trainer, attached",
                attached,
                "sliced loop, fused Adam",
                partial(by_hand, train, validation, epochs, fused=True),
                half_width,
            ),
            (
                "trainer, attached",
                attached,
                "DataLoader loop",
                partial(by_hand, train, validation, epochs, loader=True),
                0.02,
            ),
            (
                "trainer, attached",
                attached,
                "trainer, bare",
                partial(ours, train, validation, epochs, attached=False),
                half_width,
            ),
        ):
            patience = seconds if against == "sliced loop" else seconds / 5
            label = f"{name}, {rows:,} rows"
            ratios.append(interleaved(label, run, against, other, half_width=width, seconds=patience))
    show("trainer", ratios, attachments_per_batch())


if __name__ == "__main__":
    main()
