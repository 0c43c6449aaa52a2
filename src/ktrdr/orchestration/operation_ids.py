"""Names for operations: sorted by time, short enough to type, and never given twice."""

from datetime import UTC, datetime
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like a digit
_LETTERS = 6


def new_operation_id(kind: str, at: datetime, unique: UUID) -> str:
    """For instance `train-20261123-142355-k3f9c7`: the second in UTC, then 30 bits of `unique` (a random one)."""
    bits = unique.int
    tail = "".join(_ALPHABET[(bits >> 5 * place) & 31] for place in range(_LETTERS))
    return f"{kind}-{at.astimezone(UTC):%Y%m%d-%H%M%S}-{tail}"
