"""Environments over stock OpenEnv, in the pattern that OpenEnv's documentation teaches.

Models, environment, client of each are in a package of its own; server and player are for all.
Nothing here imports ``openenv_gym``. Both ends run under a Python of their own that has
``openenv`` installed; :mod:`benchmarks.stock_python` finds it.
"""
