"""Generators for every use of chance in a training, all from one seed and none of them torch's global one."""

import numpy as np
import torch

USES = ("weights", "shuffle", "dropout", "importance", "bootstrap", "leak_check", "walk")
"""New uses go to the end: the position is part of the stream."""


def _state(seed: int, use: str) -> int:
    sequence = np.random.SeedSequence([seed, USES.index(use)])
    return int(sequence.generate_state(1, dtype=np.uint64)[0] >> 1)


def walk_seed(seed: int, number: int) -> int:
    """The seed of one walk of a null test, for its signs and for the training on it."""
    sequence = np.random.SeedSequence([seed, USES.index("walk"), number])
    return int(sequence.generate_state(1, dtype=np.uint64)[0] >> 1)


def torch_generator(seed: int, use: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one use."""
    return torch.Generator(device=device).manual_seed(_state(seed, use))


def numpy_generator(seed: int, use: str) -> np.random.Generator:
    """A NumPy generator for one use."""
    return np.random.default_rng(_state(seed, use))
