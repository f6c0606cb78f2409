"""Requests and replies as values, before they are bytes and after."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from gymnasium.error import Error

from openenv_gym.errors import InvalidRequestError, OpenEnvGymError
from openenv_gym.faults import Fault
from openenv_gym.texts import MAX_TRACE_CHARS, escaped, quoted
from openenv_gym.wire.description import Description
from openenv_gym.wire.error_codes import brief, error_for, printable
from openenv_gym.wire.raised import raised_as

VIEW_PARAMETER, GYMNASIUM_VIEW = "view", "gymnasium"
"""What a client of Gymnasium says in the query of the WebSocket's URL; stock servers ignore it."""

Tracebacks: TypeAlias = Literal["sent", "logged", "both"]
"""Where the tracebacks of an environment go: to the client, to a server's log, or to both."""

NO_TIME_LIMIT = -1
"""A value of ``Open.max_episode_steps`` that lifts even the environment's own limit."""


SEEDS = 2**63
"""Seeds are smaller: an integer of 64 bits with a sign can hold them everywhere."""

A_SEED = "expected an integer from 0 to 2**63 - 1, or null"


def check_seeds(seeds: Any, path: str = "seed") -> None:
    """Pass if no seed is negative or too large; what is no integer, the environment refuses itself.

    >>> check_seeds([0, None, 2**63 - 1])

    Args:
        seeds: A seed, or a list of them.
        path: Where it comes from, for the message.

    Raises:
        InvalidRequestError: there is one, which is a ``gymnasium.error.Error`` as in process.
    """
    for seed in seeds if isinstance(seeds, list | tuple) else (seeds,):
        if isinstance(seed, int | np.integer) and not 0 <= seed < SEEDS:
            got = str(seed) if -SEEDS < seed < 2 * SEEDS else "one of more than 64 bits"
            raise raised_as(InvalidRequestError, Error)(f"{path}: {A_SEED}, got {got}")


class Recovery(msgspec.Struct, frozen=True):
    """What a worker needs to begin a sub-environment that raised anew, by itself.

    Attributes:
        first_env: The number of its first sub-environment in the whole vector environment.
        incarnations: How often each was begun anew already.
        base_seeds: What the seeds of each after faults are derived from.
        restarts: How often one may be begun anew in one reset.
    """

    first_env: int
    incarnations: list[int]
    base_seeds: list[int | None]
    restarts: int


class Part(msgspec.Struct, frozen=True):
    """Which sub-environments of a vector environment a session has, where others have the rest.

    Attributes:
        first_env: The number of its first one in the whole vector environment.
        whole: How many sub-environments there are in all sessions together.
        is_wanted: Whether the caller asked for several sessions. Where nobody did, a vector form of
            the environment's own is not split: the session of the first part has the whole.
    """

    first_env: int
    whole: int
    is_wanted: bool


class Open(msgspec.Struct, frozen=True):
    """Open an environment; None asks for the only one there is.

    Attributes:
        environment: The name, as ``CartPole-v1`` or ``openspiel:catch``.
        kwargs: Keyword arguments of its constructor.
        render_mode: The render mode of Gymnasium.
        max_episode_steps: The time limit in steps. None keeps the environment's own limit, and
            :data:`NO_TIME_LIMIT` lifts it.
        is_typed: Whether a client of typed models asks, and not one of Gymnasium; defaults of the
            environment may depend on it.
        num_envs: None opens one environment; a number opens as many sub-environments, which
            are stepped in one message and answer with a :class:`BatchResult`.
        vectorization: ``sync`` steps them one after the other; ``native`` takes the
            environment's own vector entry point; ``auto`` takes that where there is one.
        autoreset_mode: The value of Gymnasium's ``AutoresetMode``.
        attributes: The names of the environment's own attributes and methods that :class:`Use` may
            name; None for all that do not begin with an underscore. A server puts its own list
            there, whatever the client asks for.
        recovery: What the worker needs so that an exception of one sub-environment is a fault of
            that one, and not of the step of all. It is for batched sessions whose sub-environments
            are stepped one after the other.
        part: Which part of a vector environment the session is, None where it is the whole.
        models: The places of the ``action`` and the ``observation`` class of a typed environment
            whose own are not found, as ``package.module:Class``. A server puts its own there,
            whatever the client asks for.
        needs_spaces: Whether a typed environment is to be described by the spaces that its schemas
            give, and not by its schemas. Those of a batched session always are.
        python: The path of the interpreter in which the environment runs; None for that of the
            worker. A server puts its own there, and refuses a client that asks for one.
        tracebacks: What becomes of the traceback of what the environment raises. A server puts
            its own there, whatever the client asks for.
    """

    environment: str | None = None
    kwargs: dict[str, Any] = {}
    render_mode: str | None = None
    max_episode_steps: int | None = None
    is_typed: bool = False
    num_envs: int | None = None
    vectorization: str = "auto"
    autoreset_mode: str = "NextStep"
    attributes: list[str] | None = None
    recovery: Recovery | None = None
    part: Part | None = None
    models: dict[str, str] = {}
    needs_spaces: bool = False
    python: str | None = None
    tracebacks: Tracebacks = "sent"


class Reset(msgspec.Struct, frozen=True):
    """Begin an episode.

    Attributes:
        seed: Seeds the environment's generator; None continues it. Of a batched session a
            number for the first sub-environment, which counts up, or a list with one for each.
        options: The options of Gymnasium.
        episode_id: Name of the episode, None for a random one.
        extra: Further arguments of a typed environment's own ``reset``.

    Raises:
        InvalidRequestError: a seed is negative or too large.
    """

    seed: int | list[int | None] | None = None
    options: dict[str, Any] | None = None
    episode_id: str | None = None
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Refuse a seed that no environment is given, wherever the reset comes from."""
        if self.seed is not None:
            check_seeds(self.seed)


class Step(msgspec.Struct, frozen=True):
    """Act."""

    action: Any


class GetState(msgspec.Struct, frozen=True):
    """Ask for the state of the episode."""


class Render(msgspec.Struct, frozen=True):
    """Ask for a picture of now."""


class Use(msgspec.Struct, frozen=True):
    """Read, set or call something that the environment has beyond Gymnasium's interface.

    Attributes:
        name: The name of an attribute or method of the environment, or of a wrapper around it.
        how: ``get`` reads an attribute; ``set`` sets it; ``call`` calls a method, and reads what is
            none, as ``call`` of a Gymnasium ``VectorEnv`` does; ``is_method`` says what it is.
        args: The arguments of the call; or the values to set, one for each sub-environment.
        kwargs: The keyword arguments of the call.
        numbers: Which sub-environments of a batched session are asked, in order; None asks all.
    """

    name: str
    how: Literal["get", "set", "call", "is_method"] = "get"
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    numbers: list[int] | None = None


class Close(msgspec.Struct, frozen=True):
    """End the session."""


class Opened(msgspec.Struct, frozen=True):
    """The environment is there."""

    description: Description


class Result(msgspec.Struct, frozen=True):
    """What a reset or a step returned.

    Attributes:
        obs: The observation.
        reward: A Python float; an array, a list or a tuple where the environment pays such; None
            after a reset, but that of a typed environment which gives one.
        terminated: Whether the task itself ended the episode.
        truncated: Whether something else did.
        info: The info.
    """

    obs: Any
    reward: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class BatchResult(msgspec.Struct, frozen=True):
    """What a reset or a step of a batched session returned, as a ``VectorEnv`` returns it.

    Attributes:
        obs: The batched observation.
        rewards: ``float64`` of shape ``(num_envs,)``; of array rewards ``(num_envs, *shape)`` and
            their dtype; None after a reset, as the flags are.
        terminations: ``bool`` of the same shape.
        truncations: ``bool`` of the same shape.
        info: Batched, with an array for each key and a mask under the key with an underscore
            before it; or not batched yet, a list of pairs of a sub-environment's number and its
            info, in the order in which Gymnasium batches them.
    """

    obs: Any
    rewards: Any
    terminations: Any
    truncations: Any
    info: dict[str, Any] | list[tuple[int, dict[str, Any]]]


class StateReply(msgspec.Struct, frozen=True):
    """The state of the episode."""

    state: dict[str, Any]


class Rendered(msgspec.Struct, frozen=True):
    """What ``Env.render`` returned: an array, a string, or a list of either."""

    frame: Any


class Used(msgspec.Struct, frozen=True):
    """What came of :class:`Use`, for each sub-environment; None for each that was set."""

    values: list[Any]


class Closed(msgspec.Struct, frozen=True):
    """The environment was closed."""


class Failed(msgspec.Struct, frozen=True):
    """The request was refused, or failed.

    Attributes:
        code: A code of :mod:`openenv_gym.wire.error_codes`.
        message: What was expected, what came, where, and what to do.
        traceback: The environment's own, where there is one and it may be shown.
        fault: What is known of a session that was lost; None where none was.
        raised: The name of the class that the environment raised, see
            :mod:`openenv_gym.wire.raised`; "" where the error has no such class.
    """

    code: str
    message: str
    traceback: str = ""
    fault: Fault | None = None
    raised: str = ""

    def to_exception(self) -> OpenEnvGymError:
        """The exception that stands for this reply."""
        said, trace = quoted(self.message), escaped(self.traceback, MAX_TRACE_CHARS)
        if trace:
            said = f"{said}\n\nIn the environment's process:\n{trace}"
        return error_for(
            self.code,
            said,
            fault=self.fault,
            remote_traceback=trace,
            raised=self.raised,
        )


Request: TypeAlias = Open | Reset | Step | GetState | Render | Use | Close
Reply: TypeAlias = Opened | Result | BatchResult | StateReply | Rendered | Used | Closed | Failed


def failure(exc: OpenEnvGymError, traceback: str = "") -> Failed:
    """Return the reply that says ``exc``."""
    text, trace = brief(printable(str(exc))), printable(traceback)
    return Failed(exc.code, text, trace, exc.fault, exc.raised)
