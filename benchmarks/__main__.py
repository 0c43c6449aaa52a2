"""Runs the benchmarks named, or all of them: `python -m benchmarks [trainer] [pipeline] [startup] [service]`."""

import sys

from benchmarks import pipeline, service, startup, trainer

BENCHMARKS = {"trainer": trainer.main, "pipeline": pipeline.main, "startup": startup.main, "service": service.main}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
