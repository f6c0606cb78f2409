"""Faults on purpose, ours beside their peers: ``python -m benchmarks faults``.

Stock OpenEnv runs :mod:`benchmarks.faults.stock_peer` in a venv of its own, so this file and
:mod:`benchmarks.faults.cases` know the standard library only.
"""
