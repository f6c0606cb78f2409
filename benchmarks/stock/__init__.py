"""Environments over stock OpenEnv, in the pattern that OpenEnv's documentation teaches.

Nothing here imports ``openenv_gym``. Both ends run under a Python of their own that has ``openenv``
installed; :mod:`benchmarks.stock_python` finds it.
"""
