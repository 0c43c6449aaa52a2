"""Runs the benchmarks named, or all: `python -m benchmarks trainer`."""

import sys

from benchmarks import features, labels, null_test, pipeline, service, startup, trainer, transfer

MODULES = {
    "trainer": trainer,
    "features": features,
    "pipeline": pipeline,
    "startup": startup,
    "service": service,
    "transfer": transfer,
    "null_test": null_test,
    "labels": labels,
}

for name in sys.argv[1:] or MODULES:
    MODULES[name].main()
