"""The backend's way to one host service: its routes as calls, its failures as sentences."""

import ssl
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr, ValidationError

from ktrdr.contracts.hosts import HostEntry, HostHealth
from ktrdr.errors import InternalError, InvalidSettings, Unavailable, restore


class HostLinks:
    """HTTP to host services. Redirects are not followed, and the key goes nowhere in plain text but to machines that
    are trusted. Raises Unavailable when there is no answer, and what the host answers otherwise."""

    def __init__(
        self, *, key: SecretStr | None = None, ca_file: Path | None = None, trusted: Collection[str] = ()
    ) -> None:
        self._key = key
        self._trusted = trusted
        try:
            verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
        except OSError as error:
            raise InvalidSettings(f"the certificates in {ca_file} cannot be read: {error}") from None
        self._http = httpx2.AsyncClient(timeout=httpx2.Timeout(30.0, connect=5.0), verify=verify)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def health(self, host: HostEntry) -> HostHealth:
        """How the host does."""
        return HostHealth.model_validate(await self._ask(host, "GET", "/health"), extra="ignore")

    async def _ask(self, host: HostEntry, method: str, path: str, **more: Any) -> Any:
        try:
            response = await self._http.request(method, host.url + path, headers=self._headers(host), **more)
            if response.is_success:
                return response.json()
        except httpx2.TransportError as error:
            raise self._silent(host, error) from None
        except (ValueError, ValidationError):
            raise InternalError(f"the host {host.name} answered not as a KTRDR host does") from None
        raise self._failure(host, response)

    def _headers(self, host: HostEntry) -> dict[str, str]:
        if self._key is None:
            return {}
        require_private(host.url, self._trusted)
        return {"Authorization": f"Bearer {self._key.get_secret_value()}"}

    def _silent(self, host: HostEntry, error: Exception) -> Unavailable:
        return Unavailable(f"the host {host.name} at {host.url} does not answer ({str(error) or type(error).__name__})")

    def _failure(self, host: HostEntry, response: httpx2.Response) -> Exception:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict) or "code" not in document:
            return InternalError(f"the host {host.name} answered {response.status_code} and not as a KTRDR host does")
        return restore({**document, "message": document.get("detail", "")})


def require_private(url: str, trusted: Collection[str]) -> None:
    """A secret may go there: by TLS, on this machine, or to a machine that is trusted. Raises InvalidSettings."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    if parts.scheme != "https" and not is_loopback(name) and name not in trusted:
        raise InvalidSettings(
            f"{url} is plain HTTP, which shows secrets to the network: use https, or name {name} in"
            " KTRDR_TRUSTED_NETWORK"
        )


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
