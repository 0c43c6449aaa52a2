"""The hardware: chosen in order, refused with a sentence, and torch's settings put back."""

import os

import pytest
import torch

from ktrdr.errors import ModeUnavailable
from ktrdr.execution import device as device_module
from ktrdr.execution.device import SMALL_MODEL, choose_device, device_name, peak_memory, threads_for, torch_settings

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")],
)
def test_cuda_comes_before_mps_and_both_before_the_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device().type == chosen
    assert choose_device("cpu").type == "cpu"


def test_hardware_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModeUnavailable, match="KTRDR_DEVICE"):
        choose_device("cuda")


def test_small_models_take_one_thread_unless_told_otherwise() -> None:
    assert threads_for(1_000, None) == 1
    assert threads_for(SMALL_MODEL, None) == (os.cpu_count() or 1)
    assert threads_for(1_000, 3) == 3


def test_settings_hold_inside_and_are_put_back() -> None:
    before, tiny = torch.get_num_threads(), torch.tensor([1e-40])
    with torch_settings(threads=1, device=CPU):
        assert torch.get_num_threads() == 1
        assert (tiny * 1.0).item() == 0.0
        with torch_settings(threads=1, device=CPU):
            pass
        assert (tiny * 1.0).item() == 0.0  # the inner one put back what the outer one had set
    assert torch.get_num_threads() == before
    assert (tiny * 1.0).item() > 0.0


def test_settings_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="broke"), torch_settings(threads=1, device=CPU):
        raise RuntimeError("broke")
    assert torch.get_num_threads() == before


def test_deterministic_algorithms_are_asked_for_on_a_gpu_alone() -> None:
    with torch_settings(threads=1, device=CPU):
        assert not torch.are_deterministic_algorithms_enabled()
    with torch_settings(threads=1, device=torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_processor_has_a_name_and_the_process_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_name(CPU)
    assert device_name(torch.device("mps")) == "Apple GPU"
    assert (peak_memory(CPU) or 0) > 10_000_000
    monkeypatch.setattr(device_module, "resource", None)
    assert peak_memory(CPU) is None
