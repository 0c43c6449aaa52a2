"""The backend's way to one host service: its routes as calls, its failures as sentences."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
from pydantic import SecretStr, ValidationError

from ktrdr.contracts.addresses import require_private
from ktrdr.contracts.hosts import HostEntry, HostHealth, ResultPayload, SessionStart, SessionState
from ktrdr.contracts.training import IsCancelled
from ktrdr.errors import (
    InternalError,
    InvalidSettings,
    NotPlaced,
    TrainingCancelled,
    TransferCorrupt,
    Unavailable,
    restore,
)

_STATUS = 10.0
"""Seconds that a short answer may take."""
_PIECE = 1 << 20
_HERE = "on the backend"
_GATEWAY = (502, 503, 504)
"""What a proxy says for a host that it cannot reach."""
_LARGEST_RESULT = 64 * 1024 * 1024
"""Bytes of a result as JSON; its files are larger."""


class HostLinks:
    """HTTP to host services. Redirects are not followed, and the key goes nowhere in plain text but to machines that
    are trusted. Raises Unavailable when there is no answer, and what the host answers otherwise."""

    def __init__(
        self, *, key: SecretStr | None = None, ca_file: Path | None = None, trusted: Collection[str] = ()
    ) -> None:
        self._key = key
        self._trusted = trusted
        self._http = http_client(ca_file)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def health(self, host: HostEntry) -> HostHealth:
        """How the host does. Raises InvalidSettings where a training could not be sent, whatever it says."""
        require_private(host.url, self._trusted, _HERE)
        try:
            return HostHealth.model_validate(await self._ask(host, "GET", "/health"), extra="ignore")
        except ValidationError:
            raise self._stranger(host) from None

    async def start(self, host: HostEntry, wanted: SessionStart) -> SessionState:
        """Start or find a session. Raises NotPlaced when the host has no slot, or nobody is there who could have
        heard."""
        require_private(host.url, self._trusted, _HERE)  # a callback token is a secret
        body = wanted.model_dump(mode="json")
        if wanted.callback_token is not None:
            body["callback_token"] = wanted.callback_token.get_secret_value()
        try:
            return self._state(host, await self._ask(host, "POST", "/training/start", json=body))
        except Unavailable as error:
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise NotPlaced(str(error)) from None
            raise

    async def status(self, host: HostEntry, session_id: str) -> SessionState:
        """How far a session is. Raises SessionNotFound."""
        return self._state(host, await self._ask(host, "GET", f"/training/status/{session_id}", timeout=_STATUS))

    async def stop(self, host: HostEntry, session_id: str) -> SessionState:
        """Cancel a session. Raises SessionNotFound."""
        return self._state(host, await self._ask(host, "POST", f"/training/stop/{session_id}", timeout=_STATUS))

    async def log(self, host: HostEntry, session_id: str) -> list[dict[str, Any]]:
        """The lines that the session's training has logged."""
        lines = await self._ask(host, "GET", f"/training/logs/{session_id}", timeout=_STATUS)
        return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []

    async def received(self, host: HostEntry, session_id: str) -> SessionState:
        """Tell the host that it need not keep the result any longer."""
        return self._state(host, await self._ask(host, "DELETE", f"/training/result/{session_id}"))

    async def result(self, host: HostEntry, session_id: str) -> ResultPayload:
        """The result of a session that has finished."""
        content = bytearray()
        path = f"/training/result/{session_id}"
        async with self._streamed(host, path, {}) as response:
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _LARGEST_RESULT:
                    raise TransferCorrupt(f"the result of {session_id} is larger than {_LARGEST_RESULT:,} bytes")
        try:
            return await asyncio.to_thread(ResultPayload.model_validate_json, bytes(content), extra="ignore")
        except ValidationError:
            raise TransferCorrupt(f"the result of {session_id} is not whole: fetch it again") from None

    async def download(
        self,
        host: HostEntry,
        session_id: str,
        name: str,
        target: Path,
        size: int,
        *,
        is_cancelled: IsCancelled = lambda: False,
    ) -> None:
        """Fetch a file of a result into `target`, from where an earlier try ended. Raises TrainingCancelled between
        two pieces."""
        have = await asyncio.to_thread(_size, target)
        if have >= size:
            return
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        async with self._streamed(host, f"/training/result/{session_id}/{name}", headers) as response:
            with target.open("ab" if response.status_code == 206 else "wb") as file:
                async for piece in response.aiter_raw(_PIECE):
                    if is_cancelled():
                        raise TrainingCancelled("the result is not fetched to its end")
                    if file.tell() + len(piece) > size:
                        raise TransferCorrupt(f"{name} of {session_id} is larger than it should be")
                    await asyncio.to_thread(file.write, piece)

    @asynccontextmanager
    async def _streamed(self, host: HostEntry, path: str, headers: dict[str, str]) -> AsyncIterator[httpx2.Response]:
        try:
            async with self._http.stream("GET", host.url + path, headers=headers | self._headers(host)) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._failure(host, response)
                yield response
        except httpx2.TransportError as error:
            raise self._silent(host, error) from error

    def _state(self, host: HostEntry, answer: Any) -> SessionState:
        try:
            return SessionState.model_validate(answer, extra="ignore")
        except ValidationError:
            raise self._stranger(host) from None

    async def _ask(self, host: HostEntry, method: str, path: str, **more: Any) -> Any:
        try:
            response = await self._http.request(method, host.url + path, headers=self._headers(host), **more)
            if response.is_success:
                return response.json()
        except httpx2.TransportError as error:
            raise self._silent(host, error) from error
        except ValueError:
            raise self._stranger(host) from None
        raise self._failure(host, response)

    def _headers(self, host: HostEntry) -> dict[str, str]:
        if self._key is None:
            return {}
        require_private(host.url, self._trusted, _HERE)
        return {"Authorization": f"Bearer {self._key.get_secret_value()}"}

    def _silent(self, host: HostEntry, error: Exception) -> Unavailable:
        return Unavailable(f"the host {host.name} at {host.url} does not answer ({str(error) or type(error).__name__})")

    def _stranger(self, host: HostEntry) -> InternalError:
        return InternalError(f"the host {host.name} answered not as a KTRDR host does")

    def _failure(self, host: HostEntry, response: httpx2.Response) -> Exception:
        try:
            document = response.json()
        except ValueError:
            document = None
        if response.status_code == 416:
            return TransferCorrupt(f"the host {host.name} has less of that file than it said: fetch it again")
        if not isinstance(document, dict) or "code" not in document:
            kind = Unavailable if response.status_code in _GATEWAY else InternalError
            return kind(f"the host {host.name} answered {response.status_code} and not as a KTRDR host does")
        return restore({**document, "message": document.get("detail", "")})


def http_client(ca_file: Path | None) -> httpx2.AsyncClient:
    """HTTP that trusts the certificates in `ca_file`, or the system's. Raises InvalidSettings."""
    try:
        verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    except OSError as error:
        raise InvalidSettings(f"the certificates in {ca_file} cannot be read: {error}") from None
    return httpx2.AsyncClient(timeout=httpx2.Timeout(30.0, connect=5.0), verify=verify)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
