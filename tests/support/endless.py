"""A module whose import does not end, and which says that it began."""

print("imports now", flush=True)
while True:
    pass
