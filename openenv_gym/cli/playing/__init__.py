"""Playing in a terminal: pictures, keys, what is typed, policies, statistics and recordings."""
