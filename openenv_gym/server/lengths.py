"""How long the messages of clients may be, and how longer ones are refused.

Two lengths are different in kind. An action is of a space, which says how long it can be; a reset
and an ``open`` carry what the caller likes, and are bounded by ``--max-message-bytes`` alone. Of a
message in JSON nobody knows which it is before it is read, and what is too long must not be read.
So a message that is longer than a step may be says early that it is a reset: within its first
:data:`HEAD_BYTES`. Who writes ``type`` or ``name`` first, as OpenEnv's clients and those of MCP do,
says so. A step that pretends to be a reset is read like one, off the loop, and is no action.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from starlette.requests import Request

from openenv_gym.errors import InvalidRequestError
from openenv_gym.spaces.size import JsonSize
from openenv_gym.wire.messages import MAX_VALUES, Text

ALWAYS_BYTES = 64 * 2**10
"""What a step may have beside the action: other fields, and white space."""

TIMES = 4
"""How much longer than the longest action a step may be: others write numbers at greater length."""

HEAD_BYTES = 1024

_SAYS_RESET = r'"(?:type|name|tool_name)"\s*:\s*"reset"'
_IN_TEXT, _IN_BYTES = re.compile(_SAYS_RESET), re.compile(_SAYS_RESET.encode())


class TooLongError(InvalidRequestError):
    """A message that is longer than it may be; HTTP answers it with 413."""


class Lengths(NamedTuple):
    """What the messages of one session may be.

    Attributes:
        message_bytes: The longest message of all.
        step_bytes: The longest step.
        values: The most values that a message in JSON may have.
    """

    message_bytes: int
    step_bytes: int
    values: int

    def check_step(self, length: int) -> None:
        """Pass if a step may have ``length`` bytes.

        Raises:
            TooLongError: it is longer.
        """
        if length > self.step_bytes:
            raise TooLongError(
                f"expected a step of at most {self.step_bytes} bytes, which is {ALWAYS_BYTES} and "
                f"{TIMES} times the longest action where the spaces have one, got one of {length}; "
                f"a reset may have {self.message_bytes} (--max-message-bytes), and has to say "
                f"within its first {HEAD_BYTES} that it is one"
            )

    def check_json(self, text: Text) -> None:
        """Pass if a message in JSON, which nobody has read yet, is not too long.

        Raises:
            TooLongError: it is.
        """
        is_plain = not isinstance(text, str) or text.isascii()
        if len(text) <= self.step_bytes and is_plain:
            return
        length = len(text) if is_plain else len(str(text).encode(errors="replace"))
        if length > self.message_bytes:
            raise body_too_long(self.message_bytes, str(length))
        if not says_reset(text):
            self.check_step(length)


def lengths_of(action: JsonSize | None, num_envs: int, message_bytes: int) -> Lengths:
    """Return what the messages of a session may be.

    Args:
        action: The longest action of one sub-environment in JSON; None where there is none.
        num_envs: The number of sub-environments.
        message_bytes: The longest message of all.
    """
    if action is None:
        return Lengths(message_bytes, message_bytes, MAX_VALUES)
    step_bytes = ALWAYS_BYTES + TIMES * action.bytes * num_envs
    values = MAX_VALUES + action.values * num_envs
    return Lengths(message_bytes, min(step_bytes, message_bytes), values)


def says_reset(text: Text) -> bool:
    """Whether the beginning of a message in JSON says that it is a reset.

    >>> says_reset('{"type": "reset", "data": {}}'), says_reset(b'{"type": "step", "data": {}}')
    (True, False)
    """
    if isinstance(text, str):
        return _IN_TEXT.search(text, 0, HEAD_BYTES) is not None
    return _IN_BYTES.search(text, 0, HEAD_BYTES) is not None


async def read_body(
    request: Request, lengths: Lengths, *, is_step: bool | None = None
) -> bytearray:
    """Return the body of a request, which is not read further than it may be long.

    Args:
        request: The request.
        lengths: What its body may be.
        is_step: Whether it is a step; None where the body itself says that.

    Raises:
        TooLongError: the body is too long, or its header says that it will be.
    """
    said = request.headers.get("content-length", "")
    raw = bytearray()

    def check(length: int, is_step: bool) -> None:
        if length > lengths.message_bytes:
            raise body_too_long(lengths.message_bytes, str(length))
        if is_step:
            lengths.check_step(length)

    check(int(said) if said.isdecimal() else 0, is_step=is_step is True)
    async for chunk in request.stream():
        raw += chunk
        check(len(raw), is_step=not says_reset(raw) if is_step is None else is_step)
    return raw


def body_too_long(limit: int, got: str = "more") -> TooLongError:
    """Return the error for a body of which ``limit`` bytes are taken."""
    return TooLongError(
        f"expected at most {limit} bytes (--max-message-bytes), got {got}; start the server with "
        "a higher one to have it"
    )
