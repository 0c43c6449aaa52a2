"""API keys: shown once, kept as digests, good until revoked."""

import pytest
import pytest_asyncio
from sqlalchemy import text

from ktrdr.contracts.keys import Scope
from ktrdr.errors import NotFound, Unauthorized
from ktrdr.orchestration.api_keys import ApiKeys


@pytest_asyncio.fixture
async def keys(store):
    return ApiKeys(store.database, remember=0.0)


async def test_a_key_is_good_for_its_scope_and_is_not_kept(keys, store):
    """The database has a digest, from which nobody makes the key."""
    key, said = await keys.create("alice", Scope.TRAIN)
    assert await keys.scope_of(said) is Scope.TRAIN
    assert await keys.list() == [key]
    async with store.database.reading() as connection:
        row = (await connection.execute(text("SELECT * FROM api_keys"))).mappings().one()
    secret = said.split("_", 2)[2]
    assert len(secret) >= 43
    assert all(secret not in str(value) for value in row.values())


@pytest.mark.parametrize("spoil", [lambda key: key + "x", lambda key: key[:-1], lambda key: key.upper(), lambda _: "x"])
async def test_another_text_is_no_key(keys, spoil):
    """Nor is a part of one."""
    _, said = await keys.create("alice", Scope.ADMIN)
    with pytest.raises(Unauthorized, match="not valid"):
        await keys.scope_of(spoil(said))


async def test_no_key_is_told_how_to_send_one(keys):
    """With the name of the setting."""
    for nothing in (None, ""):
        with pytest.raises(Unauthorized, match="KTRDR_API_KEY"):
            await keys.scope_of(nothing)


async def test_a_revoked_key_is_good_no_longer(keys):
    """Revoked once is revoked; what is remembered is forgotten in seconds."""
    key, said = await keys.create("bob", Scope.READ)
    assert await keys.scope_of(said) is Scope.READ
    revoked = await keys.revoke(key.key_id)
    assert revoked.revoked_at is not None
    assert await keys.revoke(key.key_id) == revoked
    with pytest.raises(Unauthorized):
        await keys.scope_of(said)
    with pytest.raises(NotFound, match="keys list"):
        await keys.revoke("nobody")


async def test_a_good_key_is_remembered_for_a_while(store, monkeypatch):
    """So that a request costs no look into the database."""
    keys = ApiKeys(store.database, remember=60.0)
    _, said = await keys.create("alice", Scope.READ)
    assert await keys.scope_of(said) is Scope.READ
    monkeypatch.setattr(store.database, "reading", None)
    assert await keys.scope_of(said) is Scope.READ


def test_each_scope_includes_those_before_it():
    """read, train, admin."""
    allowed = {(held, wanted) for held in Scope for wanted in Scope if held.allows(wanted)}
    assert len(allowed) == 6
    assert (Scope.READ, Scope.TRAIN) not in allowed
