"""What the ``spec`` of an environment shows: its arguments, and no secret."""

from __future__ import annotations

from copy import copy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gymnasium.envs.registration import EnvSpec

from openenv_gym.endpoints import Endpoint, ServerEndpoint
from openenv_gym.wire.description import Description

_PLACE, _SECRET = "base_url", "token"


def shown_spec(
    spec: EnvSpec | None, endpoint: Endpoint | None, described: Description | None = None
) -> EnvSpec | None:
    """Return ``spec`` as an environment shows it, which may be written into files.

    It has the arguments that the environment has where it lives, and neither a token nor a password
    of the server. Who makes an environment of it sets the variable ``OPENENV_GYM_TOKEN``.

    Args:
        spec: What Gymnasium made of the arguments of ``make``.
        endpoint: Where the environment is.
        described: What is known of the environment there.
    """
    if spec is None:
        return None
    kwargs: dict[str, Any] = spec.kwargs
    request = getattr(endpoint, "request", None)
    if described is not None and request is not None and request.environment is not None:
        kwargs = {**described.defaults, **kwargs}
    if isinstance(endpoint, ServerEndpoint):
        kwargs = {name: value for name, value in kwargs.items() if name != _SECRET}
        if _PLACE in kwargs:
            kwargs[_PLACE] = _without_password(kwargs[_PLACE])
    if kwargs is not spec.kwargs:
        spec = copy(spec)
        spec.kwargs = kwargs
    return spec


def _without_password(url: Any) -> Any:
    """An address without its password; a name that stands alone may be the secret itself."""
    if isinstance(url, (list, tuple)):
        return [_without_password(one) for one in url]
    if not isinstance(url, str) or "@" not in url:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name, has_password, _ = user.partition(":")
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if name and has_password else host))
