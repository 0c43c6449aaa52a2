"""Every fault between a backend and a host has the end that it has to have, and the page tells the same."""

from collections.abc import Iterator

import pytest

from tests.faults.host_faults import FAULTS, PAGE, SETTINGS, Fault, run_fault, table
from tests.faults.machines import Machines, two_machines


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two programs for all of them: what one fault leaves must not harm the next."""
    with two_machines(tmp_path_factory.mktemp("machines"), **SETTINGS) as both:
        yield both


@pytest.mark.timeout(400)
@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_fault(machines: Machines, one: Fault) -> None:
    """One model or none, nothing half-written, no second training."""
    assert run_fault(machines, one) == one.end


def test_the_page_has_this_table() -> None:
    """`python -m tests.faults.host_faults` writes it."""
    assert table({one.name: one.end for one in FAULTS}) in PAGE.read_text(encoding="utf-8")
