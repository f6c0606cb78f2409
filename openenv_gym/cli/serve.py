"""``openenv-gym serve``: serve an environment."""

from __future__ import annotations

import argparse
import json
from typing import Any

DEADLINES = (
    ("start", 120.0, "a worker process may take to build an environment before it is killed"),
    ("reset", 120.0, "it may take for a reset"),
    ("step", 60.0, "it may take for a step"),
    ("close", 5.0, "it may take to close the environment"),
)


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "serve",
        help="serve an environment over HTTP and WebSocket",
        description="Serve an environment over HTTP and WebSocket, until Ctrl-C or SIGTERM.",
    )
    parser.add_argument(
        "environment",
        help="a Gymnasium id (CartPole-v1, module:id), openspiel:GAME, "
        "or environment:package.module:Class",
    )
    parser.add_argument("--host", default="127.0.0.1", help="interface (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="TCP port, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--uds", metavar="PATH", help="listen on this Unix socket instead")
    parser.add_argument(
        "--isolation",
        choices=("process", "thread", "inline"),
        default="process",
        help="where a session lives; thread and inline are unsafe, for trusted environments only: "
        "one that crashes ends the server, one that hangs is never ended "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--start-method",
        choices=("forkserver", "spawn"),
        help="how a worker process begins: forked by a process that has imported what it needs, "
        "or as a new interpreter (default: forkserver where the platform has it)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="worker processes that wait for a session, so that it begins at once "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--max-sessions", type=int, default=64, help="sessions at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--kwargs",
        type=json_object,
        default={},
        metavar="JSON",
        help="keyword arguments of the environment, as a JSON object",
    )
    parser.add_argument(
        "--attributes",
        type=lambda text: [name.strip() for name in text.split(",") if name.strip()],
        default=[],
        metavar="NAMES",
        help="attributes and methods of the environment that clients may read, set and call, "
        "with commas between; none unless given",
    )
    parser.add_argument(
        "--memory-limit",
        type=float,
        metavar="MB",
        help="how large the address space of a worker process may become, in MiB",
    )
    for name, seconds, what in DEADLINES:
        parser.add_argument(
            f"--{name}-timeout",
            type=float,
            default=seconds,
            metavar="S",
            help=f"seconds that {what}, 0 for no limit (default: %(default)g)",
        )
    parser.add_argument(
        "--drain-timeout",
        type=float,
        default=25.0,
        metavar="S",
        help="seconds that a server which is to end waits for what is under way "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--write-timeout",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds that a client may leave its answers unread before its connection is closed, "
        "0 for no limit (default: %(default)g)",
    )
    parser.add_argument(
        "--resume-grace",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds that a session whose connection was lost is kept for its client, 0 for none "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--ping-interval",
        type=float,
        default=20.0,
        metavar="S",
        help="seconds between pings of a WebSocket, 0 for no pings (default: %(default)g)",
    )
    parser.add_argument(
        "--ping-timeout",
        type=float,
        default=120.0,
        metavar="S",
        help="seconds without an answer to a ping after which a client is taken for gone, 0 for "
        "never (default: %(default)g)",
    )
    parser.add_argument(
        "--log-level",
        choices=("critical", "error", "warning", "info", "debug"),
        default="warning",
        help="(default: %(default)s)",
    )
    parser.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)  # for ServerProcess
    parser.set_defaults(run=run)


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``, for argparse."""
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {text!r}: {exc}") from exc
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {text!r}")
    return value


def run(options: argparse.Namespace) -> None:
    """Serve until a signal says to stop."""
    from openenv_gym.server.app import create_app
    from openenv_gym.server.run import Listener, allow_files_of, run

    listener = Listener(
        host=options.host,
        port=options.port,
        uds=options.uds,
        log_level=options.log_level,
        lifeline=options.lifeline,
        drain_timeout_s=options.drain_timeout,
        write_timeout_s=options.write_timeout,
        ping_interval_s=options.ping_interval,
        ping_timeout_s=options.ping_timeout,
    )
    allow_files_of(options.max_sessions)  # first, for what creating the application starts
    start = {} if options.start_method is None else {"start_method": options.start_method}
    app = create_app(
        options.environment,
        **start,
        kwargs=options.kwargs,
        isolation=options.isolation,
        workers=options.workers,
        max_sessions=options.max_sessions,
        attributes=options.attributes,
        memory_limit_mb=options.memory_limit,
        resume_grace_s=options.resume_grace,
        **{f"{name}_timeout_s": getattr(options, f"{name}_timeout") for name, *_ in DEADLINES},
    )
    run(app, listener, f"openenv-gym serves {options.environment}")
