"""A version's name and its parts say the same, and no text leads out of the models folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.errors import KtrdrError, ModelNotFound
from ktrdr.execution.model_catalog import ModelCatalog
from ktrdr.execution.model_names import Family, Version, check_strategy_name, family_name, is_model_part

strategies = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_-]{0,50}(\.[A-Za-z0-9_-]{1,40})?", fullmatch=True)
symbols = st.from_regex(r"[A-Za-z0-9_^=-][A-Za-z0-9_^=-]{0,30}(\.[A-Za-z0-9_^=-]{1,30})?", fullmatch=True)
timeframes = st.from_regex(r"[1-9][0-9]{0,2}[mhdwM]", fullmatch=True)
numbers = st.integers(1, 999_999_999)


@given(strategies, symbols, timeframes, numbers)
def test_names_round_trip(strategy: str, symbol: str, timeframe: str, number: int) -> None:
    """Reading a version's folder name gives the version, whatever underscores the symbol has."""
    version = Version(Family(check_strategy_name(strategy), family_name([symbol], timeframe)), number)
    assert Version.read(strategy, version.folder) == version
    assert version.name == f"{strategy}/{version.folder}"
    assert version.folder == f"{symbol}_{timeframe}_v{number}"
    assert is_model_part(version.folder)
    assert is_model_part(version.family.latest)


@given(symbols, timeframes, symbols, timeframes)
def test_hidden_names_belong_to_one_family(symbol: str, timeframe: str, other: str, other_timeframe: str) -> None:
    """Sweeping one family can never touch what another one is writing, and hidden names are no versions."""
    first, second = Family("s", family_name([symbol], timeframe)), Family("s", family_name([other], other_timeframe))
    for purpose in ("saving", "deleting", "link", "lock"):
        hidden = first.hidden(purpose)
        assert Version.read("s", hidden) is None
        assert (hidden == second.hidden(purpose)) == (first == second)
        assert len(hidden.encode()) < 255


@given(st.text())
def test_any_text_as_a_part_stays_one_folder_below(text: str) -> None:
    """What passes the checks is one visible path component."""
    for check in (
        lambda: check_strategy_name(text),
        lambda: family_name([text], "1h"),
        lambda: family_name(["A"], text),
    ):
        try:
            name = check()
        except KtrdrError:
            continue
        assert Path("root", name).parent == Path("root")
        assert name not in (".", "..")
        assert not name.startswith(".")


@given(st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "~", "\0", "a_1h_v1"])).map("/".join))
def test_any_text_as_a_name_is_answered_with_an_expected_error(text: str) -> None:
    """find() on no models knows no other failures than its own."""
    with pytest.raises(KtrdrError):
        ModelCatalog(Path("no-such-folder")).find(text)


def test_a_family_of_several_symbols() -> None:
    """Several symbols are `multi`, one is itself."""
    assert family_name(["A", "B"], "5m") == "multi_5m"
    assert family_name(("^GSPC",), "1d") == "^GSPC_1d"


@pytest.mark.parametrize(
    "folder", ["", "v1", "_v1", "x_v0", "x_v01", "x_v", "x_v-1", "x_v1 ", ".x_v1", "x_V1", "x_v1/"]
)
def test_other_folders_are_no_versions(folder: str) -> None:
    """Only `{family}_v{N}` with N written plainly is one."""
    assert Version.read("s", folder) is None


def test_not_found_suggests(tmp_path: Path) -> None:
    """Names close to the one asked for stand in the sentence."""
    (tmp_path / "trend" / "EURUSD_1h_v1").mkdir(parents=True)
    with pytest.raises(ModelNotFound, match="did you mean trend/EURUSD_1h_v1"):
        ModelCatalog(tmp_path).find("trend/EURUSD_1h_v2")
