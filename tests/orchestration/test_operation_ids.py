"""Operation ids sort by time and do not repeat."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

from ktrdr.orchestration.operation_ids import new_operation_id

AT = datetime(2026, 11, 23, 14, 23, 55, tzinfo=UTC)


def test_reads_as_its_time_in_utc():
    """The second is in the name, in UTC whatever the zone of the clock."""
    assert new_operation_id("train", AT, UUID(int=0)) == "train-20261123-142355-000000"
    assert new_operation_id("train", AT.astimezone(timezone(timedelta(hours=9))), UUID(int=31)).endswith("55-z00000")


def test_sorted_and_unique():
    """Later ones sort later; a thousand in one second differ."""
    assert new_operation_id("train", AT, uuid4()) < new_operation_id("train", AT + timedelta(seconds=1), uuid4())
    assert len({new_operation_id("train", AT, uuid4()) for _ in range(1000)}) == 1000
