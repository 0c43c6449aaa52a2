"""API keys: made once, shown once, and kept as a digest from which no key can be had."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import insert, select, update

from ktrdr.contracts.keys import ApiKey, Scope
from ktrdr.errors import NotFound, Unauthorized
from ktrdr.orchestration.database import Database
from ktrdr.orchestration.tables import api_keys

_COLUMNS = [api_keys.c[name] for name in ApiKey.model_fields]
_NOBODY = hashlib.sha256(b"").hexdigest()


class ApiKeys:
    """The keys of one database. A key reads `ktrdr_{key_id}_{secret}`; its secret has 256 random bits, so that a plain
    sha256 keeps it safe."""

    def __init__(
        self,
        database: Database,
        *,
        remember: float = 5.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """A key that was good is taken as good for `remember` seconds more."""
        self._database = database
        self._remember = remember
        self._clock = clock
        self._known: dict[str, tuple[float, Scope]] = {}

    async def create(self, name: str, scope: Scope) -> tuple[ApiKey, str]:
        """A new key, and its text: the only time that anybody sees it."""
        key = ApiKey(key_id=secrets.token_hex(4), name=name, scope=scope, created_at=self._clock())
        secret = secrets.token_urlsafe(32)
        values = key.model_dump() | {"scope": scope.value, "secret_sha256": _digest(secret)}
        async with self._database.writing() as connection:
            await connection.execute(insert(api_keys).values(values))
        return key, f"ktrdr_{key.key_id}_{secret}"

    async def list(self) -> list[ApiKey]:
        """Every key, the newest first, revoked ones too."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(*_COLUMNS).order_by(api_keys.c.created_at.desc()))
            return [ApiKey.model_validate(dict(row)) for row in rows.mappings()]

    async def revoke(self, key_id: str) -> ApiKey:
        """The key is good no longer; servers know within seconds. Raises NotFound."""
        never_before = update(api_keys).where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
        async with self._database.writing() as connection:
            await connection.execute(never_before.values(revoked_at=self._clock()))
            row = (await connection.execute(select(*_COLUMNS).where(api_keys.c.key_id == key_id))).mappings().first()
        if row is None:
            raise NotFound(f"there is no API key {key_id}: `ktrdr keys list` shows their ids")
        return ApiKey.model_validate(dict(row))

    async def scope_of(self, text: str | None) -> Scope:
        """What the bearer of this text may do. Raises Unauthorized."""
        if not text:
            raise Unauthorized("this server wants an API key: send `Authorization: Bearer KEY`, or set KTRDR_API_KEY")
        remembered = self._known.get(_digest(text))
        if remembered is not None and time.monotonic() < remembered[0]:
            return remembered[1]
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        query = select(api_keys).where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().first() if len(key_id) <= 16 else None
        good = hmac.compare_digest(_digest(secret), row["secret_sha256"] if row is not None else _NOBODY)
        if prefix != "ktrdr" or row is None or not good:
            raise Unauthorized("the API key is not valid: it is mistyped, revoked, or of another server")
        scope = Scope(row["scope"])
        self._known = {known: entry for known, entry in self._known.items() if entry[0] > time.monotonic()}
        self._known[_digest(text)] = time.monotonic() + self._remember, scope
        return scope


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
