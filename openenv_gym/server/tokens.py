"""The tokens that open a server, and the names of those who have them.

A token is a secret that a client shows with each request over HTTP and with each handshake:

- ``Authorization: Bearer TOKEN``, as agents and our clients do;
- ``Authorization: Basic``, with the token for a password and any name, as ``ws://user:TOKEN@host``
  is sent by clients of OpenEnv, and what is typed into a browser's prompt;
- the subprotocol ``openenv-gym.token.BASE64URL`` of a WebSocket, for the scripts of a page, which
  can set no header there.

It is never part of a URL's query, because servers and proxies write URLs into their logs.

Of each token its digest is kept. The digest of what a client shows is compared with every one of
them, so that neither how much of a guess is right nor whose token it is can be told by the time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import stat
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from openenv_gym.credentials import check_token, variable_token
from openenv_gym.errors import InvalidRequestError

if TYPE_CHECKING:  # the command line needs the settings where no Starlette is installed
    from starlette.requests import HTTPConnection

_log = logging.getLogger(__name__)

TOKEN_PROTOCOL = "openenv-gym.token."
"""How the subprotocol begins that carries a token, encoded as base64url without padding."""

JSON_SUBPROTOCOL = "openenv-gym.json"
"""OpenEnv's JSON, or JSON-RPC at ``/mcp``, for those who have to offer something.

A browser that offers subprotocols breaks off unless the server chooses one of them. A page that
shows its token as one offers this one, too.
"""

OWNER = "openenv_gym.owner"
"""The key of an ASGI scope that says whose token a request has shown."""

_NAME = re.compile(r"[\w.@-]+")


class Tokens:
    """The tokens of a server.

    Args:
        named: Pairs of an owner's name and a token. An owner may have several tokens, so that one
            can take the place of another.
    """

    def __init__(self, named: Iterable[tuple[str, str]] = ()) -> None:
        self._owners = [(_digest(token), name) for name, token in named]

    def __bool__(self) -> bool:
        """Whether there are any; without, everybody may use the server."""
        return bool(self._owners)

    def owner_of(self, token: str) -> str | None:
        """Return the name of the owner of ``token``, None where nobody has it."""
        digest, owner = _digest(token), None
        for known, name in self._owners:
            if hmac.compare_digest(known, digest):
                owner = name
        return owner


def tokens_of(token: str | None, path: str | None) -> Tokens:
    """Return the tokens that open a server.

    Args:
        token: One token, whose owner is called ``token``.
        path: A file with more of them. Where neither is given, the variable ``OPENENV_GYM_TOKEN``
            has the only one, if it is set.

    Raises:
        InvalidRequestError: The file cannot be read, or something can be no token.
    """
    named = [] if token is None else [("token", check_token(token, "token"))]
    if path is not None:
        named += _tokens_in(path)
    elif token is None and (given := variable_token()) is not None:
        named.append(("token", given.reveal()))
    return Tokens(named)


def shown_token(request: HTTPConnection) -> str | None:
    """Return the token that a request shows, None where it shows none in a known form."""
    said = request.headers.getlist("authorization")
    protocols = protocols_of_tokens(request.scope.get("subprotocols") or ())
    if len(said) + len(protocols) != 1:  # of two, a proxy on the way might have meant the other
        return None
    if protocols:
        return _decoded(protocols[0].removeprefix(TOKEN_PROTOCOL))
    scheme, _, value = said[0].strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    decoded = _decoded(value.strip())
    return None if decoded is None else decoded.partition(":")[2]


def protocols_of_tokens(offered: Sequence[str]) -> list[str]:
    """Return the subprotocols among ``offered`` that carry a token."""
    return [one for one in offered if one.startswith(TOKEN_PROTOCOL)]


def json_subprotocol(websocket: HTTPConnection) -> str | None:
    """Return what to choose of the subprotocols that a client of JSON offers."""
    is_offered = JSON_SUBPROTOCOL in (websocket.scope.get("subprotocols") or ())
    return JSON_SUBPROTOCOL if is_offered else None


def owner_of(request: HTTPConnection) -> str | None:
    """Return the name of the owner of the token that a request has shown, None without tokens."""
    owner: str | None = request.scope.get(OWNER)
    return owner


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _decoded(text: str) -> str | None:
    """What base64 says, in either alphabet, with padding or without."""
    try:
        padded = text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4)
        return base64.urlsafe_b64decode(padded.encode("ascii")).decode()
    except (binascii.Error, ValueError):
        return None


def _tokens_in(path: str) -> list[tuple[str, str]]:
    """The tokens in a file: one in a line, alone or behind a name and a colon.

    Raises:
        InvalidRequestError: The file cannot be read, or a line has no token. No line is shown.
    """
    try:
        with open(path, encoding="utf-8") as file:
            _warn_of_readers(path, os.fstat(file.fileno()).st_mode)
            lines = file.read().splitlines()
    except (OSError, UnicodeError) as exc:
        raise InvalidRequestError(f"token_file: {path} cannot be read: {exc}") from exc
    named = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        where, (name, colon, token) = f"{path}, line {number}", line.rpartition(":")
        if colon and _NAME.fullmatch(name.strip()) is None:
            raise InvalidRequestError(
                f"{where}: expected a token, or 'name: token' with a name of letters, digits and "
                "_.@-, got something else"
            )
        owner = name.strip() if colon else f"line {number}"
        named.append((owner, check_token(token.strip(), where)))
    if not named:
        raise InvalidRequestError(f"token_file: expected a token in {path}, got none")
    return named


@cache  # settings that are changed read their file again
def _warn_of_readers(path: str, mode: int) -> None:
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        _log.warning(
            "the file of tokens %s can be read by others (mode %04o): chmod 600 %s",
            path,
            stat.S_IMODE(mode),
            path,
        )
