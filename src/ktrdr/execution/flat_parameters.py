"""All parameters of a model as one vector: clipping, the optimizer's step and the best copy are one operation each."""

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves a model's parameters and gradients into one vector each, of which they become views.

    Optimizers that treat every number alike (all that a strategy can name) step the vector as they would the parts.
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = list(model.parameters())
        self.vector = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
        self.gradient = torch.zeros_like(self.vector)
        self.vector.grad = self.gradient
        position = 0
        for parameter in parameters:
            end = position + parameter.numel()
            parameter.data = self.vector.data[position:end].view(parameter.shape)
            parameter.grad = self.gradient[position:end].view(parameter.shape)
            position = end

    def copy(self) -> Tensor:
        """The numbers now, apart from the live ones."""
        return self.vector.detach().clone()

    def load(self, numbers: Tensor) -> None:
        """Put these numbers into the model."""
        with torch.no_grad():
            self.vector.copy_(numbers)

    def norm(self) -> Tensor:
        """The Euclidean norm of the gradient, a scalar on its device."""
        norm: Tensor = torch.linalg.vector_norm(self.gradient)
        return norm

    def clip(self, norm: float) -> None:
        """Scale the gradient down to this Euclidean norm where it is longer."""
        self.gradient.mul_((norm / (self.norm() + 1e-6)).clamp_(max=1.0))
