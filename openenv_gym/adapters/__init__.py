"""Other interfaces → ``gymnasium.Env``, and the builders that a worker calls."""
