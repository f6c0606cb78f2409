"""The worker: a process that owns environments, its loop, and how it is started.

``python -m openenv_gym.workers`` runs :func:`openenv_gym.workers.worker.main`; nobody but
:class:`openenv_gym.workers.process.WorkerProcess` calls it.
"""
