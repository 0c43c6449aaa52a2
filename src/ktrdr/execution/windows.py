"""What a network reads of each row: its features, or, for a network of sequences, those of the last bars too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of `length` consecutive rows of a table, each ending with the row `last` names.

    The table (bars, features) float32 is kept once; `last` (windows,) int64 is not below length - 1.
    """

    table: Tensor
    last: Tensor
    length: int

    def __len__(self) -> int:
        return len(self.last)

    def __getitem__(self, which: Tensor) -> "Windows":
        return replace(self, last=self.last[which])

    @property
    def device(self) -> torch.device:
        return self.table.device

    def to(self, device: torch.device) -> "Windows":
        return replace(self, table=self.table.to(device), last=self.last.to(device))

    def map(self, function: Callable[[Tensor], Tensor]) -> "Windows":
        """The same windows of another table."""
        return replace(self, table=function(self.table))

    def gather(self) -> Tensor:
        """The windows themselves, (windows, length, features), the newest bar last."""
        back = torch.arange(1 - self.length, 1, device=self.device)
        return self.table[self.last.unsqueeze(1) + back]


Features = Tensor | Windows
"""(rows, features), or windows of such rows."""


AT_ONCE = 65_536
"""Rows of the table that are evaluated at a time."""


def large_pieces(features: Features) -> Iterator[Tensor]:
    """Batches for evaluation, as large as memory can bear."""
    return pieces(features, AT_ONCE if isinstance(features, Tensor) else max(1, AT_ONCE // features.length))


def pieces(features: Features, size: int) -> Iterator[Tensor]:
    """Batches of `size` rows in their order: views of flat features, windows gathered as they are asked for."""
    if isinstance(features, Tensor):
        return iter(torch.split(features, size))
    return (replace(features, last=last).gather() for last in torch.split(features.last, size))
