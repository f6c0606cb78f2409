"""How long messages may be, and how both ends tell each other (docs/protocol.md).

A message that is too long for who gets it is not sent: a client that knows so refuses the call, and
a server answers with a failure in its place. The connection goes on.
"""

from __future__ import annotations

from openenv_gym.codecs.weight import MAX_VALUE_BYTES
from openenv_gym.errors import InvalidRequestError
from openenv_gym.protocol.binary_messages import BinaryMessages, sequence_of
from openenv_gym.protocol.events import failure
from openenv_gym.protocol.framing import MAX_FRAME_BYTES, Body
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.size import least_bytes, numbers_in

MAX_MESSAGE_BYTES = MAX_FRAME_BYTES
"""The longest message of all, since a worker takes no longer one."""

REPLY_ALLOWANCE_BYTES = 32 << 20
"""How long a reply may be beside the arrays of its observation: infos, and texts."""

_FRAME_BYTES = 8 << 20
"""How long a rendered frame of each sub-environment may be; one of 1920 x 1080 has 6 MiB."""

_MOST_COPIES = 4
"""How often an observation may stand in one reply: infos have the last one of an episode, too."""

_JSON_NUMBER_CHARS = 64
"""A float of 64 bits has up to 25 characters with its comma, and stands in infos again."""

LIMIT_HEADER = "OpenEnv-Gym-Max-Message-Bytes"
"""The header of both handshakes in which each end says how long a message it takes."""


def limit_in(header: str | None) -> int:
    """Return what the header of a handshake says, in bytes; the most where it says nothing.

    >>> limit_in("1000"), limit_in(None) == MAX_MESSAGE_BYTES
    (1000, True)
    """
    text = header or ""
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    return min(int(text), MAX_MESSAGE_BYTES) if is_number else MAX_MESSAGE_BYTES


def request_too_long(length: int, limit: int) -> InvalidRequestError:
    """Return the error for a request of ``length`` bytes, of which ``limit`` are taken."""
    higher = "start it with a higher --max-message-bytes"
    return InvalidRequestError(
        f"expected a message of at most {limit} bytes, {_who('the server', limit)}, got one of "
        f"{length}; nothing was sent. {_way_out(higher, limit)}"
    )


def reply_too_long(length: int, limit: int) -> InvalidRequestError:
    """Return the error for a reply of ``length`` bytes, of which ``limit`` are taken."""
    higher = "pass options=WebSocketOptions(max_message_bytes=...)"
    return InvalidRequestError(
        f"expected an answer of at most {limit} bytes, {_who('this client', limit)}, got one of "
        f"{length}, which was not sent; the request was carried out. {_way_out(higher, limit)}"
    )


def within(reply: Body, limit: int) -> Body:
    """Return ``reply``, or in place of one that is too long the failure that says so."""
    if len(reply) <= limit:
        return reply
    error = reply_too_long(len(reply), limit)
    return BinaryMessages().encode_reply(sequence_of(reply), failure(error))


def _who(end: str, limit: int) -> str:
    return "the most that a message has" if limit == MAX_MESSAGE_BYTES else f"which {end} takes"


def _way_out(higher: str, limit: int) -> str:
    if limit == MAX_MESSAGE_BYTES:
        return "Spread many sub-environments over more sessions (shards=)"
    return f"To have it, {higher}"


def most_reply_bytes(space: Space, *, in_json: bool, num_envs: int | None = None) -> int:
    """Return how long a reply with an observation may be.

    Args:
        space: The space of the observation, of all sub-environments.
        in_json: Whether it is JSON.
        num_envs: The number of sub-environments, None for a single environment.
    """
    allowance = REPLY_ALLOWANCE_BYTES + _FRAME_BYTES * (num_envs or 1)
    if in_json:
        return allowance + _JSON_NUMBER_CHARS * numbers_in(space)
    return allowance + _MOST_COPIES * least_bytes(space)


def most_value_bytes(space: Space) -> int:
    """Return how much memory the values in a reply in JSON may take, before they are arrays.

    Args:
        space: The space of the observation, of all sub-environments.
    """
    return MAX_VALUE_BYTES + _JSON_NUMBER_CHARS * numbers_in(space)
