"""Which epoch was the best, and when there is no use in going on."""

from collections.abc import Mapping

from ktrdr.execution.strategy.learning import EarlyStopping


class BestEpoch:
    """Follows the monitored value: a better one is kept whatever its margin, patience asks for `min_delta`."""

    def __init__(self, settings: EarlyStopping) -> None:
        self._settings = settings
        self._sign = 1.0 if settings.monitor == "val_loss" else -1.0
        self.value = float("inf")
        self.epoch = 0
        self._reference = float("inf")
        self._waited = 0

    def improves(self, epoch: int, val_loss: float, val_accuracy: float) -> bool:
        """Take the values of an epoch; True when they are the best so far."""
        value = self._sign * (val_loss if self._settings.monitor == "val_loss" else val_accuracy)
        if value < self._reference - self._settings.min_delta:
            self._reference = value
            self._waited = 0
        else:
            self._waited += 1
        if value >= self.value:
            return False
        self.value = value
        self.epoch = epoch
        return True

    @property
    def exhausted(self) -> bool:
        """Whether early stopping is on and patience has run out."""
        return self._settings.enabled and self._waited >= self._settings.patience

    def state_dict(self) -> dict[str, float]:
        """The counters, to be restored by `load_state_dict`."""
        return {
            "value": self.value,
            "epoch": self.epoch,
            "reference": self._reference,
            "waited": self._waited,
        }

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Put back the counters of `state_dict`."""
        self.value = state["value"]
        self.epoch = int(state["epoch"])
        self._reference = state["reference"]
        self._waited = int(state["waited"])
