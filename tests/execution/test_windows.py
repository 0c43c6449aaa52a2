"""Windows are the consecutive bars that end with each row, of one symbol and defined throughout."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ktrdr.execution.features.builder import FeatureMatrix
from ktrdr.execution.models.recurrent import Gru, Lstm, RecurrentArchitecture
from ktrdr.execution.windows import Windows, large_pieces, pieces


def windows(rows: int = 30, length: int = 4) -> Windows:
    table = torch.arange(rows * 2, dtype=torch.float32).reshape(rows, 2)
    return Windows(table, torch.tensor([3, 10, 29, 4]), length)


def test_a_window_is_a_slice_of_the_table() -> None:
    some = windows()
    for window, last in zip(some.gather(), some.last.tolist(), strict=True):
        assert torch.equal(window, some.table[last - 3 : last + 1])


def test_batches_are_the_windows_in_their_order() -> None:
    some = windows()
    assert torch.equal(torch.cat(list(pieces(some, 3))), some.gather())
    assert torch.equal(torch.cat(list(large_pieces(some))), some.gather())
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(some[order].gather(), some.gather()[order])
    doubled = some.map(lambda table: table * 2)
    assert torch.equal(doubled.gather(), some.gather() * 2)


@given(
    defined=st.lists(st.booleans(), max_size=40),
    window=st.integers(1, 50),
)
def test_a_row_is_usable_when_all_bars_of_its_window_are_defined(defined: list[bool], window: int) -> None:
    values = np.where(np.array(defined, dtype=bool), 1.0, np.nan).astype(np.float32).reshape(-1, 1)
    matrix = FeatureMatrix(names=("a",), values=values, history=np.arange(len(defined)))
    expected = [at >= window - 1 and all(defined[at - window + 1 : at + 1]) for at in range(len(defined))]
    assert matrix.usable(window).tolist() == expected


@pytest.mark.parametrize(("kind", "theirs"), [(Lstm, nn.LSTM), (Gru, nn.GRU)])
def test_recurrent_layers_are_torchs(kind: type[Lstm | Gru], theirs: type[nn.RNNBase]) -> None:
    """Two layers of torch's own with the same weights give the same state at the newest bar."""
    architecture = RecurrentArchitecture(hidden_size=6, num_layers=2, dropout=0.5, sequence_length=7)
    model = kind(architecture=architecture).build(3, 4, torch.Generator().manual_seed(1)).eval()
    stacked = theirs(3, 6, 2, batch_first=True)
    state = {}
    for depth, layer in enumerate(model.network.layers):
        state |= {name.replace("_l0", f"_l{depth}"): value for name, value in layer.state_dict().items()}
    stacked.load_state_dict(state)
    inputs = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        newest = stacked(inputs)[0][:, -1]
        torch.testing.assert_close(model(inputs), model.network.head(newest))


@pytest.mark.parametrize("kind", [Lstm, Gru])
def test_recurrent_weights_come_from_their_generator_alone(kind: type[Lstm | Gru]) -> None:
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    first, second, other = (kind().build(3, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    for (name, one), two in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two), name
        assert one.abs().max() <= 1 / 8
    assert not all(torch.equal(one, two) for one, two in zip(first.parameters(), other.parameters(), strict=True))
