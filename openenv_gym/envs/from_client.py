"""``from_client``: a client object of OpenEnv as ``gymnasium.Env``."""

from __future__ import annotations

from typing import Any

from openenv_gym.endpoints.client import client_endpoint
from openenv_gym.envs.remote_env import RemoteEnv


def from_client(
    client: Any,
    base_url: str | None = None,
    *,
    client_kwargs: dict[str, Any] | None = None,
    render_mode: str | None = None,
    action_type: Any = None,
    closes_client: bool = True,
    **options: Any,
) -> RemoteEnv:
    """Return the environment that an OpenEnv client plays, as ``gymnasium.Env``.

    The client connects with the first reset, unless it is connected already or starts its server
    itself. A client of either generation of OpenEnv will do, asynchronous or ``.sync()``.

    Args:
        client: A client, what ``from_docker_image`` and ``from_env`` return (awaited here), or a
            client's class. Only an environment of a class can be copied and pickled.
        base_url: The URL of the server, for a class.
        client_kwargs: Further arguments of the class.
        render_mode: Gymnasium's mode, for a client with a method ``render``.
        action_type: The class of the actions, for a client that names none, such as one of tools.
        closes_client: Whether ``close`` of the environment closes the client, and with it what it
            started, as a wrapper closes what it wraps.
        **options: The options of ``gymnasium.make("openenv/remote-v0")`` but for ``codec`` and
            ``options``, which a client brings with it. ``timeout_s`` is how long to wait beside
            the client's own timeout: for ever unless given.

    Raises:
        InvalidRequestError: ``client`` is no client, is connected in an event loop that runs, or
            an argument makes no sense.
        SpaceError: the spaces cannot be inferred; the message names the override.
        UnsupportedRenderModeError: the client cannot render.
    """
    endpoint = client_endpoint(
        client,
        base_url,
        client_kwargs=client_kwargs,
        render_mode=render_mode,
        action_type=action_type,
        closes_client=closes_client,
        **options,
    )
    return RemoteEnv(endpoint, endpoint.options.on_fault)
