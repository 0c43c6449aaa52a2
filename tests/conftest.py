"""Settings of the whole suite."""

import os

from hypothesis import settings

pytest_plugins = ["tests.postgresql"]

os.environ["OMP_NUM_THREADS"] = (
    "1"  # before torch is imported: workers that each take both cores stand in their own way
)

settings.register_profile("ktrdr", deadline=None)
settings.load_profile("ktrdr")
