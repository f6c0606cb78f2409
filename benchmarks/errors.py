"""What keeps a benchmark from running."""


class BenchmarkError(Exception):
    """Says in one sentence what went wrong, and what to do."""
