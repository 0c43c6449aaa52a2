"""Addresses of servers: what is one, and where a secret may be sent."""

from collections.abc import Collection, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from ktrdr.errors import InvalidRequest, InvalidSettings


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL that is an origin and nothing more. Raises InvalidRequest."""
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        port = parts.port
    except ValueError:
        raise InvalidRequest(f"{url!r} is no address: write http://host:8100") from None
    plain = parts.scheme in ("http", "https") and parts.hostname
    if not plain or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise InvalidRequest(f"{url!r} is no address of a server: write http://host:8100, and nothing behind it")
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def setting_of_origins(name: str, urls: Iterable[str]) -> list[str]:
    """The origins in a setting of that name, in their plain form. Raises InvalidSettings."""
    try:
        return [origin_of(url) for url in urls]
    except InvalidRequest as error:
        raise InvalidSettings(f"{name} cannot be used: {error}") from None


def require_private(url: str, trusted: Collection[str], where: str = "here") -> None:
    """A secret may go there: by TLS, on this machine, or to a machine that is trusted; `where` that has to be set.
    Raises InvalidSettings."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    if parts.scheme != "https" and not is_loopback(name) and name not in trusted:
        raise InvalidSettings(
            f"{url} is plain HTTP, which shows secrets to the network: use https, or, if that network is trusted,"
            f' set KTRDR_TRUSTED_NETWORK=["{name}"] {where}'
        )


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
