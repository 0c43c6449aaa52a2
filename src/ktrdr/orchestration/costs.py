"""What a training has cost: the seconds that it held its device, and the money, where somebody counts it."""

from ktrdr.contracts.training import TrainingResult


def with_cost(result: TrainingResult, price_per_hour: float | None) -> TrainingResult:
    """The result with `device_seconds` by device, `price_per_hour` and `cost`, in the user's own currency; None where
    no price is known. Seconds are those of the attempt that finished."""
    usage = result.resource_usage
    seconds = float(usage.get("seconds") or 0.0)
    cost = None if price_per_hour is None else round(price_per_hour * seconds / 3600, 6)
    counted = {"device_seconds": {str(usage.get("device", "cpu")): seconds}, "price_per_hour": price_per_hour}
    return result.model_copy(update={"resource_usage": {**usage, **counted, "cost": cost}})
