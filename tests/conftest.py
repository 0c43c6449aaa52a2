"""Settings of the whole suite."""

from hypothesis import settings

settings.register_profile("ktrdr", deadline=None)
settings.load_profile("ktrdr")
