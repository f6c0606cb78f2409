"""Whether the arguments that a client names are those of the environment that is served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openenv_gym.errors import OpenEnvGymError, UnknownEnvironmentError, shown
from openenv_gym.wire.description import Description
from openenv_gym.wire.raised import raised_as

ARGUMENTS_HEADER = "OpenEnv-Gym-Arguments"
"""The header in which a client that asks for the schema names keyword arguments, as JSON."""


def refusal_of_arguments(
    asked: Mapping[str, Any], what: str, told: Description | None
) -> OpenEnvGymError:
    """Return the error for arguments that are not those of the environment that is served.

    It is a ``TypeError`` where the environment in process would raise one: a trainer may have
    asked whether there is such a keyword. Those with which the environment is served may be secret.

    Args:
        asked: The keyword arguments that a client named.
        what: The environment, and where it is.
        told: What it says of itself; None where that is not known.
    """
    keywords = None if told is None else told.keywords
    unknown = [name for name in asked if keywords is not None and name not in keywords]
    text = (
        f"expected the arguments that {what} was started with, which it tells nobody, "
        f"got {shown(dict(asked), 200)}"
    )
    if unknown:
        kind = raised_as(UnknownEnvironmentError, TypeError)
        return kind(
            f"{text}: got an unexpected keyword argument {shown(unknown[0])}, which its "
            f"constructor does not take; it takes {', '.join(keywords or ()) or 'none'}"
        )
    return UnknownEnvironmentError(f"{text}; start a server with these (--kwargs)")
