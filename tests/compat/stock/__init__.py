"""Servers and clients written for OpenEnv as its documentation teaches, for both generations.

Nothing here imports ``openenv_gym``: these files run under a Python that has ``openenv`` 0.10 or
``openenv-core`` 0.3, which share the import name. :mod:`tests.compat.generations` makes it.
"""
