"""Faults on purpose, ours beside their peers: ``python -m benchmarks faults``.

Stock OpenEnv imports :mod:`benchmarks.faults.cases` in a venv of its own, so this file and that one
need the standard library only.
"""
