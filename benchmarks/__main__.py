"""Runs the benchmarks named (trainer, pipeline, startup, service, transfer), or all: `python -m benchmarks trainer`."""

import sys

from benchmarks import pipeline, service, startup, trainer, transfer

MODULES = {"trainer": trainer, "pipeline": pipeline, "startup": startup, "service": service, "transfer": transfer}

for name in sys.argv[1:] or MODULES:
    MODULES[name].main()
