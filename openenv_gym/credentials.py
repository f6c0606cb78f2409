"""The secret that opens a server, kept out of texts, logs and pickles.

A server of ours asks for a token, others for the password of basic authentication: for a client
both are a :class:`Token`. Its value is read where a request is written, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from typing import Any

from openenv_gym.errors import InvalidRequestError

TOKEN_VARIABLE = "OPENENV_GYM_TOKEN"
"""The environment variable with the token, of servers and of clients."""

_FORM = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What may follow ``Bearer`` in a header (RFC 6750)."""

_SECRET_HEADERS = {"authorization", "proxy-authorization", "sec-websocket-protocol", "cookie"}
_QUERY = re.compile(r"([?&][^=&\s]*token=)[^&\s\"']+", re.IGNORECASE)


class Token:
    """A secret whose value no text and no pickle holds.

    A pickle has the name of the variable ``OPENENV_GYM_TOKEN`` in its place, so that it can be made
    only where the variable has this value. Copies in the same process have the value.

    Args:
        value: The secret.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret, to be sent to the server that it opens."""
        return self._value

    def __repr__(self) -> str:
        return "Token(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Token:
        return self

    def __reduce__(self) -> tuple[Callable[[], Token], tuple[()]]:
        """Pickle the name of the variable.

        Raises:
            InvalidRequestError: The variable has another value, or none.
        """
        if variable_token() != self:
            raise InvalidRequestError(
                "a token or password cannot be pickled, because whoever reads the pickle would "
                f"have it; set the variable {TOKEN_VARIABLE} to it, here and in the process that "
                "reads the pickle, which then holds the name of the variable alone"
            )
        return _unpickled, ()


def variable_token() -> Token | None:
    """Return the token in the variable ``OPENENV_GYM_TOKEN``, None where it is empty or not set.

    Raises:
        InvalidRequestError: What is in it can be no token.
    """
    value = os.environ.get(TOKEN_VARIABLE, "").strip()
    return Token(check_token(value, TOKEN_VARIABLE)) if value else None


def _unpickled() -> Token:
    token = variable_token()
    if token is None:
        raise InvalidRequestError(
            f"expected the variable {TOKEN_VARIABLE} to be set, got none: what was pickled here "
            "uses the token of the process that pickled it; set the variable in this one, too"
        )
    return token


def given_token(value: str | Token | None) -> Token | None:
    """Return the token that an argument ``token`` gives, None where it is not given.

    Raises:
        InvalidRequestError: It can be no token.
    """
    if value is None or isinstance(value, Token):
        return value
    return Token(check_token(value, "token"))


def check_token(value: Any, where: str) -> str:
    """Return ``value`` if it can be a token.

    Args:
        value: Anything.
        where: What an error begins with, such as ``"--token"``. No error shows the value.

    Raises:
        InvalidRequestError: It is no text, or has other characters than a token may have.
    """
    if not isinstance(value, str):
        raise InvalidRequestError(f"{where}: expected a text, got {type(value).__name__}")
    if _FORM.fullmatch(value) is None:
        raise InvalidRequestError(
            f"{where}: expected a token of letters, digits and -._~+/=, got "
            f"{len(value)} characters, with others among them"
            if value
            else f"{where}: expected a token, got an empty text; leave it out for none"
        )
    return value


class HidesSecrets(logging.Filter):
    """Hides headers and queries that may be secret in what ``websockets`` and uvicorn log.

    Each header of a handshake is logged as two arguments, its name and its value.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record where it shows a secret, and let it pass."""
        if isinstance(record.args, tuple):
            record.args = _hidden(record.args)
        return True


def _hidden(args: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(args) == 2 and str(args[0]).lower() in _SECRET_HEADERS:
        return args[0], "***"
    return tuple(_QUERY.sub(r"\1***", one) if isinstance(one, str) else one for one in args)
