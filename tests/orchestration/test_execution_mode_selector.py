"""Where a training runs: the request, then the system's default, then what fits; and always a reason."""

import pytest

from ktrdr.errors import InvalidRequest, ModeUnavailable
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector


def selector(default="auto", gpu=False):
    return ExecutionModeSelector(default_mode=default, local_has_gpu=lambda: gpu)


@pytest.mark.parametrize(
    ("requested", "default", "reason"),
    [
        (None, "auto", "auto is the system's default; no GPU is required"),
        (None, "local", "local is the system's default"),
        ("auto", "local", "auto is requested; no GPU is required"),
        ("local", "auto", "local is requested"),
    ],
)
async def test_local(requested, default, reason):
    """Without hosts everything that can run runs here, for the reason that applies."""
    selection = await selector(default).select(requested)
    assert selection.mode == "local"
    assert selection.reason.startswith(reason)


@pytest.mark.parametrize("requested", [None, "auto", "local"])
async def test_gpu(requested):
    """A required GPU is met by one on this machine, and by nothing else."""
    selection = await selector(gpu=True).select(requested, require_gpu=True)
    assert "the GPU it requires is on this machine" in selection.reason
    with pytest.raises(ModeUnavailable, match="this machine has none"):
        await selector().select(requested, require_gpu=True)


async def test_gpu_is_not_looked_for_without_need():
    """Looking for a GPU is slow: it is not done unless one is required."""

    def look():
        raise AssertionError

    await ExecutionModeSelector(default_mode="auto", local_has_gpu=look).select("auto")


async def test_modes_that_cannot_be_had():
    """The host is known and not there yet; anything else does not exist, and the answer says what does."""
    with pytest.raises(ModeUnavailable, match="no host service is configured: use --mode local"):
        await selector().select("host")
    with pytest.raises(InvalidRequest, match="'moon': use auto or local"):
        await selector().select("moon")
