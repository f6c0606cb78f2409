"""``openenv-gym serve``: serve an environment."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from openenv_gym.cli.flags import add_flags, given
from openenv_gym.server.settings import Listener, ServerSettings


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "serve",
        help="serve an environment over HTTP and WebSocket",
        description="Serve an environment over HTTP and WebSocket, until Ctrl-C or SIGTERM.",
    )
    add_flags(parser, Listener)
    add_flags(parser, ServerSettings)
    parser.set_defaults(run=partial(run, parser))


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Serve until a signal says to stop; a command line that opens the server is a wrong one."""
    from openenv_gym.cli.targets import target_of
    from openenv_gym.server.run import serve, why_it_is_open

    options.environment = target_of(options.environment)
    settings = ServerSettings(**given(ServerSettings, options))
    listener = Listener(**given(Listener, options))
    if (why := why_it_is_open(settings, listener)) is not None:
        parser.error(why)
    serve(settings, listener)
