"""Brings results to the backend that asked for them: three attempts, and then they wait to be fetched."""

import asyncio
import base64
import hashlib
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from ktrdr.contracts.addresses import require_private
from ktrdr.contracts.hosts import LARGEST_INLINE, Delivery, SessionStart
from ktrdr.errors import Forbidden, KtrdrError
from ktrdr.execution.transfer.sending import read_payload
from ktrdr.host_service.session import TrainingSession
from ktrdr.logs import get_logger

_log = get_logger("delivery")


class ResultCourier:
    """Posts results to callbacks, on the exact list of origins and nowhere else; redirects are not followed."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        origins: Collection[str],
        trusted: Collection[str] = (),
        waits: Sequence[float] = (1.0, 2.0),
        largest_inline: int = LARGEST_INLINE,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """`waits` are the seconds between attempts, give or take a quarter; `trusted` are machines to which a token
        may go in plain text."""
        self._http = http
        self._origins = frozenset(origins)
        self._trusted = trusted
        self._waits = waits
        self._largest_inline = largest_inline
        self._sleep = sleep

    def check(self, wanted: SessionStart) -> None:
        """Raises Forbidden when this host sends nothing to where that start points to, and InvalidSettings when it
        would show the token to the network."""
        for url in filter(None, (wanted.callback_url, wanted.bars_url)):
            parts = urlsplit(url)
            origin = f"{parts.scheme}://{parts.netloc}"
            if origin not in self._origins:
                raise Forbidden(
                    f"this host sends nothing to {origin}: name it in KTRDR_CALLBACK_ORIGINS there, as"
                    f' ["{origin}"], and start the host again'
                )
            require_private(url, self._trusted, "on the host")

    async def deliver(self, session: TrainingSession) -> Delivery:
        """Post the result of a finished session; what became of it."""
        session_id, url, token = session.state.session_id, session.wanted.callback_url, session.wanted.callback_token
        if url is None or token is None:
            return Delivery.KEPT
        try:
            body = await asyncio.to_thread(self._body, session)
        except KtrdrError as error:
            _log.error("the result cannot be read", error=str(error))
            return Delivery.KEPT
        headers = {
            "Authorization": f"Bearer {token.get_secret_value()}",
            "Content-Type": "application/json",
            "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:",
        }
        for number, wait in enumerate((*self._waits, None), start=1):
            became, why = await self._attempt(url, body, headers)
            log = _log.info if became in (Delivery.DELIVERED, Delivery.KEPT) else _log.warning
            log("result posted", session_id=session_id, attempt=number, became=became, why=why, bytes=len(body))
            if became is not None:
                return became
            if session.state.delivery is not Delivery.PENDING:
                break  # it was fetched meanwhile
            if wait is not None:
                await self._sleep(wait * random.uniform(0.75, 1.25))
        return Delivery.KEPT

    async def _attempt(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[Delivery | None, str]:
        """What one attempt came to, and why; None: it may be tried again."""
        try:
            response = await self._http.post(url, content=body, headers=headers, follow_redirects=False)
        except httpx2.HTTPError as error:
            return None, str(error) or type(error).__name__
        why = f"{response.status_code} {_code(response)}".strip()
        if response.is_success:
            return (Delivery.KEPT if response.status_code == 202 else Delivery.DELIVERED), why
        if response.status_code >= 500 or _code(response) == "transfer_corrupt" or response.status_code in (408, 429):
            return None, why
        return Delivery.REFUSED, why

    def _body(self, session: TrainingSession) -> bytes:
        payload = read_payload(session.folder, session.state.session_id, largest_inline=self._largest_inline)
        return payload.model_dump_json().encode()


def _code(response: httpx2.Response) -> str:
    try:
        document = response.json()
    except ValueError:
        return ""
    return str(document.get("code", "")) if isinstance(document, dict) else ""
