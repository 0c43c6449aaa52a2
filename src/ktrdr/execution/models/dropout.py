"""Dropout whose random numbers come from a generator of its own."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes each value with probability `p` while training and scales the rest by 1 / (1 - p).

    torch's own dropout draws from the global generator, which two trainings in two threads would share. On the CPU a
    mask takes 16 bits of the generator a value instead of a double, so `p` is kept to within 1/65,536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return values
        return values * self._mask(values)

    def _mask(self, values: Tensor) -> Tensor:
        if values.device.type != "cpu":
            keep = torch.rand(values.shape, generator=self.generator, device=values.device) >= self.p
            return keep.to(values.dtype).mul_(1.0 / (1.0 - self.p))
        count = values.numel()
        bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        lanes = bits.view(torch.int16)[:count].view(values.shape)
        threshold = round(self.p * 65536) - 32768
        return (lanes >= threshold).to(values.dtype).mul_(1.0 / (1.0 - self.p))
