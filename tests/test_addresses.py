"""Addresses: what is an origin, and where a secret may go."""

import pytest

from ktrdr.contracts.addresses import is_loopback, origin_of, require_private, setting_of_origins
from ktrdr.errors import InvalidRequest, InvalidSettings


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://gpu1:8100", "http://gpu1:8100"),
        (" https://GPU1/ ", "https://gpu1"),
        ("http://[::1]:8100/", "http://[::1]:8100"),
    ],
)
def test_an_origin_in_its_plain_form(url: str, origin: str) -> None:
    """However it was written."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["gpu1:8100", "ftp://gpu1", "http://", "http://a/b", "http://u@a", "http://a:99999", ""]
)
def test_what_is_no_origin_is_refused(url: str) -> None:
    """With the setting's name, where it stands in one."""
    with pytest.raises(InvalidRequest, match="no address"):
        origin_of(url)
    with pytest.raises(InvalidSettings, match=r"KTRDR_X cannot be used: .* is no address"):
        setting_of_origins("KTRDR_X", ["http://fine", url])


@pytest.mark.parametrize(
    "url", ["https://gpu1", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "http://lan"]
)
def test_a_secret_may_go_there(url: str) -> None:
    """By TLS, on this machine, or to a machine that is trusted."""
    require_private(url, ["lan"])


@pytest.mark.parametrize("url", ["http://gpu1:8100", "http://lan.example", "http://127.0.0.1.example", "ftp://gpu1"])
def test_a_secret_may_not_go_there(url: str) -> None:
    """The sentence says what to set, and where."""
    with pytest.raises(InvalidSettings, match=r"KTRDR_TRUSTED_NETWORK=\[.*\] on the host"):
        require_private(url, ["lan"], "on the host")


@pytest.mark.parametrize(("name", "said"), [("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("gpu1", False)])
def test_loopback(name: str, said: bool) -> None:
    assert is_loopback(name) is said
