"""Examples. Each is read from top to bottom and asserts one result; a test runs it."""
