"""Runs a worker; see :mod:`openenv_gym.workers.worker`."""

from openenv_gym.workers.worker import main

if __name__ == "__main__":
    main()
