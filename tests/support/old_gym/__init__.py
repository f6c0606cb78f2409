"""What tests of old environments need inside a venv of an old gym."""
