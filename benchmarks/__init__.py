"""The speed of the package beside its limits and its peers: ``python -m benchmarks``.

A part is a module with a row in :data:`PARTS`. The first line of its docstring is its help,
``OPTIONS`` are its options with their defaults and help, ``STOCK`` says what the Python of a stock
peer must have, if it has one, and ``run(options)`` measures, prints and writes.
"""

PARTS = {
    "step": "benchmarks.step",
    "codecs": "benchmarks.codecs",
    "openspiel": "benchmarks.openspiel",
    "vector": "benchmarks.vector",
    "faults": "benchmarks.faults.part",
    "calls": "benchmarks.calls",
    "handshakes": "benchmarks.handshakes",
}
DEFAULT = "step"
