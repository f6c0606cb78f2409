"""Where the shards of a vector environment are, and how many sub-environments each gets."""

from __future__ import annotations

from typing import Any

import msgspec

from openenv_gym.endpoints import ConnectOptions, EmbeddedEndpoint, ServerEndpoint, endpoint_of
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol import Open, Part
from openenv_gym.workers.process import available_cores


def shard_sizes(num_envs: int, shards: int) -> list[int]:
    """Return how many sub-environments each of ``shards`` gets, the first ones one more.

    >>> shard_sizes(7, 3)
    [3, 2, 2]
    """
    shards = min(shards, num_envs)
    return [num_envs // shards + (i < num_envs % shards) for i in range(shards)]


def requests_of(request: Open, num_envs: int, shards: int, *, is_wanted: bool) -> list[Open]:
    """Return the request of each shard, of no more than there are sub-environments.

    Args:
        request: What all of them open.
        num_envs: How many sub-environments there are.
        shards: Over how many sessions they are spread.
        is_wanted: Whether the caller asked for several; see :class:`Part`.
    """
    sizes, first, requests = shard_sizes(num_envs, shards), 0, []
    for size in sizes:
        part = Part(first, num_envs, is_wanted) if len(sizes) > 1 else None
        requests.append(msgspec.structs.replace(request, num_envs=size, part=part))
        first += size
    return requests


def default_shards(num_envs: int) -> int:
    """Return over how many workers ``num_envs`` are spread: one for each core."""
    return min(available_cores(), num_envs)


def endpoints_of(
    source: Any, num_envs: int | None, autoreset_mode: str, token: str | None = None
) -> list[Any]:
    """Return the endpoint of each shard.

    Args:
        source: The URL of a server, several, or endpoints, which are returned as they are.
        num_envs: How many sub-environments, where there are URLs.
        autoreset_mode: The value of Gymnasium's ``AutoresetMode``, where there are URLs.
        token: The secret that opens the servers, where there are URLs.

    Raises:
        InvalidRequestError: There is no shard, or no number.
    """
    given: list[Any] = [source] if isinstance(source, str) else list(source)
    if not given:
        raise InvalidRequestError("expected at least one shard, got none")
    if not all(isinstance(one, str) for one in given):
        return [endpoint_of(one, token) for one in given]
    if type(num_envs) is not int or num_envs < 1:
        raise InvalidRequestError(f"num_envs: expected a number from 1, got {num_envs!r}")
    request = Open(None, autoreset_mode=autoreset_mode)
    requests = requests_of(request, num_envs, len(given), is_wanted=True)
    return [
        ServerEndpoint.at(url, one, ConnectOptions(token=token))
        for url, one in zip(given, requests, strict=False)
    ]


def is_batched(endpoint: Any) -> bool:
    """Return whether sessions of ``endpoint`` have many sub-environments, and not one."""
    is_ours = isinstance(endpoint, (EmbeddedEndpoint, ServerEndpoint))
    return is_ours and endpoint.request.num_envs is not None
