"""Remote environments as ``gymnasium.Env``, and their registration."""
