"""Other interfaces → ``gymnasium.Env``, and each as a worker hosts it."""
