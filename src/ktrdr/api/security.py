"""Who may call: API keys and their scopes."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Security
from fastapi.params import Depends as Dependency
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from ktrdr.contracts.keys import Scope
from ktrdr.errors import Forbidden

ScopeOf = Callable[[str | None], Awaitable[Scope]]
"""What the bearer of a key may do; raises Unauthorized."""

SCHEME = "ApiKey"
bearer = HTTPBearer(auto_error=False, scheme_name=SCHEME, description="an API key of `ktrdr keys create`")
Key = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


def wants(scope: Scope) -> Dependency:
    """A dependency that lets only keys of that scope through; all, where the server wants no keys."""

    async def check(connection: HTTPConnection, key: Key) -> None:
        await require(connection, scope, key.credentials if key else None)

    dependency: Dependency = Depends(check)
    return dependency


async def require(connection: HTTPConnection, scope: Scope, key: str | None) -> None:
    """Raises Unauthorized and Forbidden."""
    scope_of: ScopeOf | None = connection.app.state.scope_of
    if scope_of is None:
        return
    held = await scope_of(key)
    if not held.allows(scope):
        raise Forbidden(f"this needs an API key of scope {scope}, and this one has {held}: ask who runs the server")
