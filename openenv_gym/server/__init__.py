"""The server: FastAPI in front of workers.

No environment code runs in the server process unless its isolation says so, not even to learn
the spaces.
"""
