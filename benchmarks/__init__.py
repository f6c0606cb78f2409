"""The speed of the package beside its limits and its peers: ``python -m benchmarks``.

A part of the benchmarks is a module that has a row in :data:`BENCHMARKS`, and gives

- its first docstring line, which ``--help`` shows;
- ``add_arguments(parser)``, which adds its options;
- ``run(options)``, which measures, prints and writes its results.
"""

from __future__ import annotations

BENCHMARKS = {
    "step": "benchmarks.step",
    "codecs": "benchmarks.codecs",
    "openspiel": "benchmarks.openspiel",
    "vector": "benchmarks.vector",
    "faults": "benchmarks.faults.part",
}
"""The parts by name, and the modules that are imported when they are asked for."""

DEFAULT = "step"
