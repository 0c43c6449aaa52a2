"""The execution mode of trainings that name none: the settings' until somebody changes it while the server runs."""

from ktrdr.contracts.training import TrainingConfig
from ktrdr.errors import InvalidRequest
from ktrdr.logs import get_logger
from ktrdr.orchestration.execution_mode_selector import MODES
from ktrdr.orchestration.stored_settings import StoredSettings

_NAME = "training_default_mode"
_log = get_logger("mode")


class DefaultMode:
    """The default mode. What is stored wins over the settings, also after a restart."""

    def __init__(self, stored: StoredSettings, configured: str) -> None:
        self._stored = stored
        self._configured = configured

    async def __call__(self) -> str:
        """The mode in force."""
        stored = await self._stored.get(_NAME)
        return stored if stored in MODES else self._configured

    async def config(self) -> TrainingConfig:
        """The mode in force, and where it comes from."""
        stored = await self._stored.get(_NAME) in MODES
        return TrainingConfig(default_execution_mode=await self(), origin="stored" if stored else "settings")

    async def change(self, mode: str) -> TrainingConfig:
        """Store another one; the answer names the one before. Raises InvalidRequest."""
        if mode not in MODES:
            raise InvalidRequest(f"there is no execution mode {mode!r}: use {', '.join(MODES)}")
        previous = await self()
        await self._stored.put(_NAME, mode)
        _log.info("default execution mode changed", previous=previous, mode=mode)
        return (await self.config()).model_copy(update={"previous": previous})
