"""Says what is missing where a server cannot run. Both doors, ``app`` and ``run``, import it first.

The settings of a server need none of these packages: the command line makes its flags of them, also
where only a client is installed.
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
