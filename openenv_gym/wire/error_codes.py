"""Error code ↔ exception: one table for every border that errors cross.

The first seven codes are OpenEnv's, with OpenEnv's meaning; the others are ours. A stock client
shows any code as text.
"""

from __future__ import annotations

import re
from dataclasses import replace

from openenv_gym import errors
from openenv_gym.errors import OpenEnvGymError, fault_of
from openenv_gym.faults import Fault
from openenv_gym.texts import quoted
from openenv_gym.wire.raised import named_pair

INVALID_JSON = "INVALID_JSON"
UNKNOWN_TYPE = "UNKNOWN_TYPE"
VALIDATION_ERROR = "VALIDATION_ERROR"
EXECUTION_ERROR = "EXECUTION_ERROR"
CAPACITY_REACHED = "CAPACITY_REACHED"
FACTORY_ERROR = "FACTORY_ERROR"
SESSION_ERROR = "SESSION_ERROR"

MAX_MESSAGE_CHARS = 500

_MORE_SESSIONS = (
    "; close what plays there, or start more servers and name them all: gymnasium.make_vec takes "
    "base_url=[...]"
)

_EXCEPTIONS: dict[str, type[OpenEnvGymError]] = {
    INVALID_JSON: errors.InvalidRequestError,
    UNKNOWN_TYPE: errors.InvalidRequestError,
    VALIDATION_ERROR: errors.InvalidRequestError,
    EXECUTION_ERROR: errors.RemoteEnvError,
    CAPACITY_REACHED: errors.CapacityError,
    FACTORY_ERROR: errors.EnvStartError,
    SESSION_ERROR: errors.ServerError,
    **{
        kind.code: kind
        for kind in (
            errors.AuthenticationError,
            errors.InvalidActionError,
            errors.ResetNeededError,
            errors.UnknownAttributeError,
            errors.UnknownEnvironmentError,
            errors.UnsupportedRenderModeError,
            errors.SpaceError,
            errors.ConcurrentCallError,
            errors.ProtocolError,
            errors.ConnectionLostError,
            errors.RequestTimeoutError,
            errors.EnvCrashLoopError,
        )
    },
}


def error_for(
    code: str,
    message: str,
    *,
    fault: Fault | None = None,
    remote_traceback: str = "",
    raised: str = "",
) -> OpenEnvGymError:
    """Return the exception that stands for ``code``.

    >>> error_for("RESET_NEEDED", "reset first")
    ResetNeededError('reset first')

    Args:
        code: One of the table, or any other.
        message: The text of the error, for people.
        fault: What the peer says of a session that was lost.
        remote_traceback: Where the environment raised, "" where the peer does not show it.
        raised: The name of the class that the environment raised, "" where nobody says.
    """
    kind = _EXCEPTIONS.get(code)
    if kind is None:
        return errors.ServerError(f"{message} (code {quoted(code, 40)})", fault=fault)
    if fault is None and issubclass(kind, errors.RemoteEnvError):
        fault = fault_of(kind())
    if fault is not None and remote_traceback:
        fault = replace(fault, remote_traceback=remote_traceback)
    return named_pair(kind, raised)(message, fault=fault)


def with_way_out(message: str, code: str, *, is_fault: bool = False) -> str:
    """Return what a server says, and what to do where it has no free session, as many have one.

    Args:
        message: What it says.
        code: The code of the error.
        is_fault: Whether it was a session that was lost for that.
    """
    return message + _MORE_SESSIONS if code == CAPACITY_REACHED and not is_fault else message


_PLACE = re.compile(r"(\$[^\s:]*|[\w.\[\]-]+): ")

_ADVICE = re.compile(r"; |\. (?=[A-Z])")

_MOST_QUOTED = 200


def parts_of(message: str) -> dict[str, str | None]:
    """Return the ``path``, what was ``expected`` and what one ``got``, as a refusal says them.

    Messages are written as ``PATH: expected THIS, got THAT; what to do``. The path is ``$`` where
    the whole request is meant, and what a message does not say is None.

    >>> parts_of("$.data.seed: expected an integer, got '7'; leave it out")
    {'path': '$.data.seed', 'expected': 'an integer', 'got': "'7'"}
    >>> parts_of("reset first")
    {'path': '$', 'expected': None, 'got': None}

    Args:
        message: The message of an error.
    """
    head, _, rest = message.partition("expected ")
    place = _PLACE.fullmatch(head)
    path = "$" if place is None else place[1]
    expected, has_got, got = rest.partition(", got ")
    if not has_got:
        return {"path": path, "expected": None, "got": None}
    got = _ADVICE.split(got, 1)[0]
    return {
        "path": path,
        "expected": brief(expected, _MOST_QUOTED),
        "got": brief(got, _MOST_QUOTED),
    }


def is_refusal(code: str) -> bool:
    """Whether an error with this code says that the request was wrong, and nothing has failed."""
    kind = _EXCEPTIONS.get(code)
    return kind is not None and not issubclass(kind, _FAILURES)


_FAILURES = (
    errors.RemoteEnvError,
    errors.ServerError,
    errors.TransportError,
    errors.SpaceError,
)


def brief(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """Return ``text`` cut to ``limit`` characters, for messages that quote a peer."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


_QUOTED = re.compile(r"""(['"])(?:[A-Za-z]:)?[/\\][^'"\n]*[/\\](?=[^'"\n]*\1)""")
_BARE = re.compile(r"""(?:(?<=file://)|(?<![\w:/.]))/(?:[^\s/'":;,()<>]+/)+""")


def without_folders(text: str) -> str:
    """Return ``text`` with absolute paths cut to their last part, for who may not see the others.

    >>> without_folders("no file '/srv/my games/level.json', see /opt/games/README")
    "no file '.../level.json', see .../README"
    >>> without_folders("send POST /reset to http://host/games/cart")
    'send POST /reset to http://host/games/cart'
    """
    return _BARE.sub(".../", _QUOTED.sub(r"\1.../", text))


def printable(text: str) -> str:
    """Return ``text`` with halves of surrogate pairs spelt out, since UTF-8 cannot encode them.

    Python puts them into file names that are not UTF-8, and tracebacks and messages quote those.
    """
    return text.encode("utf-8", "backslashreplace").decode()
