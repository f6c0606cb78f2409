"""Examples: each is read from top to bottom, asserts one result, and is run by a test."""
