"""What is trained and stored: features normalised by fitted buffers, then a network that answers each row."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ktrdr.execution.models.dropout import Dropout
from ktrdr.execution.windows import Features, Windows, large_pieces


class Normaliser(nn.Module):
    """(x - shift) * scale, per feature; the fitted numbers are buffers, so they travel with the weights."""

    shift: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.shift) * self.scale


class Rescaler(nn.Module):
    """Standardised answers in the unit of the labels: times their spread, plus their mean; both fitted, both buffers.

    A network learns standardised numbers: returns are so small that its first answers and weight decay would drown
    them.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, answers: Tensor) -> Tensor:
        return answers * self.spread + self.mean


class Predictor(nn.Module):
    """A network behind its normaliser, for rows of features, float32, or for windows of `window` bars each.

    It gives logits (rows, classes), or, without classes, one number a row (rows, 1), rescaled to the labels' unit.
    """

    def __init__(self, network: nn.Module, features: int, classes: int, window: int = 1) -> None:
        super().__init__()
        self.normaliser = Normaliser(features)
        self.network = network
        self.rescaler = nn.Identity() if classes else Rescaler()
        self.classes = classes
        self.window = window

    def forward(self, features: Tensor) -> Tensor:
        answers: Tensor = self.rescaler(self.network(self.normaliser(features)))
        return answers

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.normaliser.shift.device

    @property
    def parameter_count(self) -> int:
        """Numbers that training changes."""
        return sum(parameter.numel() for parameter in self.parameters())

    def outputs(self, features: Features) -> Tensor:
        """What it says of each row: the probabilities of the classes (rows, classes), softmax of the logits; without
        classes the number that it predicts (rows, 1). In evaluation mode, float32, on the features' device."""
        return self.outputs_of(large_pieces(features))

    @torch.no_grad()
    def outputs_of(self, batches: Iterator[Tensor]) -> Tensor:
        """`outputs` of rows that come in batches."""
        self.eval()
        answers = [self(part) for part in batches]
        if not answers:
            return torch.empty(0, max(self.classes, 1))
        return torch.cat([torch.softmax(part, dim=1) if self.classes else part for part in answers])

    @torch.no_grad()
    def normalised(self, features: Features) -> Features:
        """The features as the network sees them."""
        if isinstance(features, Windows):
            return features.map(self.normaliser)
        result: Tensor = self.normaliser(features)
        return result

    def use_generator(self, generator: torch.Generator) -> None:
        """Let every dropout draw from this generator."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator

    @property
    def generator(self) -> torch.Generator | None:
        """What the dropouts draw from; None without a dropout."""
        return next((module.generator for module in self.modules() if isinstance(module, Dropout)), None)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """torch's linear layer with torch's initial distribution, drawn from a generator of our own."""
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, inputs, outputs, device=torch.get_default_device()
    )
    draw_uniform(layer, 1.0 / math.sqrt(inputs), generator)
    return layer


def draw_uniform(layer: nn.Module, bound: float, generator: torch.Generator) -> None:
    """Fill every parameter of a layer from the uniform distribution on ±bound. (On the device meta, where only shapes
    are wanted, nothing is drawn.)"""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
