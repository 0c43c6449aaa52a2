"""The hardware a training runs on: which device, how many threads, and torch's settings while it runs."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

from ktrdr.contracts.hosts import Device
from ktrdr.errors import ModeUnavailable

SMALL_MODEL = 2_000_000
"""Parameters; below, a second CPU thread gains nothing and, on a busy machine, costs much."""


def choose_device(wanted: str = "auto") -> torch.device:
    """CUDA, then MPS, then the CPU; or the one that the settings name, which has to be there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    if not available.get(wanted, False):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ModeUnavailable(f"the device {wanted} is not there (there: {there}): change KTRDR_DEVICE or remove it")
    return torch.device(wanted)


def device_name(device: torch.device) -> str:
    """What the hardware calls itself."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return platform.processor() or platform.machine() if device.type == "cpu" else "Apple GPU"


def devices(wanted: str = "auto") -> list[Device]:
    """The hardware that trainings may run on, the one that is chosen first."""
    if choose_device(wanted).type == "cuda":
        found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        return [Device(type="cuda", name=one.name, memory_bytes=one.total_memory) for one in found]
    chosen = choose_device(wanted)
    return [Device(type=chosen.type, name=device_name(chosen), memory_bytes=memory() if chosen.type == "cpu" else None)]


def memory() -> int | None:
    """Bytes of this machine's memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def threads_for(parameters: int, wanted: int | None) -> int:
    """CPU threads for a model of that size: one for small models, unless the settings say otherwise."""
    return wanted or (1 if parameters < SMALL_MODEL else os.cpu_count() or 1)


@contextmanager
def torch_settings(*, threads: int, device: torch.device) -> Iterator[None]:
    """Threads, flushed denormals and determinism for the calling thread; as they were, afterwards.

    Weights and Adam's state drift into denormal numbers, on which the CPU is many times slower. Deterministic
    algorithms are asked for on a GPU alone: the CPU's are deterministic, and the switch is global.
    """
    before, flushed, deterministic = torch.get_num_threads(), _flushes(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)
        if device.type == "cuda":
            torch.use_deterministic_algorithms(deterministic, warn_only=True)


def _flushes() -> bool:
    """Whether this thread's floating-point unit turns denormal results into zero."""
    smallest = sys.float_info.min
    return smallest * 0.5 == 0.0


def peak_memory(device: torch.device) -> int | None:
    """The most bytes held so far: on CUDA by this process's tensors, else by the process (None on other systems)."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if resource is None:
        return None
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(usage if sys.platform == "darwin" else usage * 1024)
