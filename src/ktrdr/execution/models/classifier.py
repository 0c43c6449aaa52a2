"""What is trained and stored: features normalised by fitted buffers, then a network that gives logits."""

import math

import torch
from torch import Tensor, nn

from ktrdr.execution.models.dropout import Dropout


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


class Classifier(nn.Module):
    """A network behind its normaliser: features (rows, features) float32 in, logits (rows, classes) out."""

    def __init__(self, network: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.normaliser = Normaliser(features)
        self.network = network
        self.classes = classes

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normaliser(features))
        return logits

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.normaliser.shift.device

    @property
    def parameter_count(self) -> int:
        """Numbers that training changes."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def probabilities(self, features: Tensor, batch: int = 65_536) -> Tensor:
        """Softmax of the logits, (rows, classes) float32, in evaluation mode, on the features' device."""
        self.eval()
        if not len(features):
            return torch.empty(0, self.classes)
        return torch.cat([torch.softmax(self(part), dim=1) for part in torch.split(features, batch)])

    @torch.no_grad()
    def normalised(self, features: Tensor) -> Tensor:
        """The features as the network sees them."""
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
    here = torch.get_default_device()  # meta, for a model that only its shapes are wanted of
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, device=here)  # type: ignore[no-untyped-call]
    bound = 1.0 / math.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer
