"""The server: FastAPI in front of workers.

No environment code runs in the server process unless its isolation says so, not even to learn
the spaces.
"""

from __future__ import annotations

from importlib.util import find_spec

from openenv_gym.errors import ServerError

_MISSING = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
if _MISSING:
    raise ServerError(
        f"to serve environments, {' and '.join(_MISSING)} must be installed here: "
        f"pip install {' '.join(_MISSING)}"
    )
