"""Runs the checks on a URL, a folder, or an environment that is served for that."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# In the order in which they run: importing a module adds its checks to the table.
from openenv_gym.conformance.validation import (  # isort: skip
    http_checks,
    schema_checks,
    opening_checks,
    reply_checks,
    episode_checks,
    input_checks,
    session_checks,
    closing_checks,
    folder_checks,
)
from openenv_gym.address import parse_address, shown_target
from openenv_gym.conformance.validation.checks import (
    CHECKS,
    CheckResult,
    Complaint,
    ConformanceCheck,
    run_check,
)
from openenv_gym.conformance.validation.options import ValidationOptions
from openenv_gym.conformance.validation.report import Report
from openenv_gym.conformance.validation.served import Served
from openenv_gym.endpoints import ConnectOptions
from openenv_gym.errors import InvalidRequestError, UnreachableError

MODULES = (
    http_checks,
    schema_checks,
    opening_checks,
    reply_checks,
    episode_checks,
    input_checks,
    session_checks,
    closing_checks,
    folder_checks,
)
_SESSIONS = 3
"""How many sessions a server has at once that is started for a check."""


def validate(
    target: str,
    *,
    options: ValidationOptions | None = None,
    connect: ConnectOptions | None = None,
    serve_arguments: Sequence[str] = (),
) -> Report:
    """Check an OpenEnv server, or a folder of an environment.

    Args:
        target: The URL of a server; a folder that has an ``openenv.yaml``; or the name of an
            environment, as ``openenv-gym serve`` takes it, for which a server is started and ended.
        options: How it is checked.
        connect: How a server is reached, and what the caller knows of its spaces.
        serve_arguments: Further arguments of ``openenv-gym serve``, for the name of an environment.

    Raises:
        InvalidRequestError: a check is unknown, or an argument makes no sense.
        UnreachableError: nobody answers at the URL.
        EnvStartError: no server could be started for the environment.
    """
    with running(
        target, options=options, connect=connect, serve_arguments=serve_arguments
    ) as results:
        return Report(target=shown_target(target), results=list(results))


@contextlib.contextmanager
def running(
    target: str,
    *,
    options: ValidationOptions | None = None,
    connect: ConnectOptions | None = None,
    serve_arguments: Sequence[str] = (),
) -> Iterator[Iterator[CheckResult]]:
    """Yield the results one by one, as :func:`validate` collects them."""
    asked, reach = options or ValidationOptions(), connect or ConnectOptions()
    chosen = selected(asked, "folder" if is_folder(target) else "server")
    with contextlib.ExitStack() as stack:
        if is_folder(target):
            yield _results(chosen, Path(target))
            return
        url = target
        if "://" not in target:
            from openenv_gym.launchers import ServerProcess

            arguments = (f"--max-sessions={_SESSIONS}", *serve_arguments)
            url = stack.enter_context(ServerProcess(target, *arguments)).base_url
        served = Served(parse_address(url), asked, reach)
        stack.callback(served.http.close)
        unreachable = served.http.complaint()
        if unreachable is not None:
            raise UnreachableError(
                f"nobody answers at {served.address}: {unreachable.got}; is the server running, "
                "and is the address right?"
            )
        yield _results(chosen, served)


def is_folder(target: str) -> bool:
    """Return whether ``target`` is a folder of an environment, and no name of one.

    >>> is_folder("CartPole-v1"), is_folder(".")
    (False, True)
    """
    path = Path(target)
    is_path = target in (".", "..") or "/" in target
    return "://" not in target and path.is_dir() and (is_path or (path / "openenv.yaml").exists())


def selected(options: ValidationOptions, of: str) -> list[ConformanceCheck]:
    """Return the checks that are asked for, in the order in which they run.

    Raises:
        InvalidRequestError: a name is unknown, or none is left.
    """
    wanted, left_out = _named(options.checks), _named(options.skips)
    chosen = [
        one
        for name, one in CHECKS.items()
        if one.of == of
        and name not in left_out
        and (not wanted or name in wanted)
        and (not one.is_opt_in or _is_asked_for(name, options))
    ]
    if not chosen:
        raise InvalidRequestError(f"expected checks of a {of}, got none with these names")
    return chosen


def _is_asked_for(name: str, options: ValidationOptions) -> bool:
    """Whether an opt-in check is named itself, or what it needs was given."""
    return name in options.checks or (name == "session.slow" and options.slow_action is not None)


def _named(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    groups = {name.partition(".")[0] for name in CHECKS}
    for name in names:
        if name not in CHECKS and name not in groups:
            close = difflib.get_close_matches(name, [*CHECKS, *groups], 1)
            hint = f"; did you mean {close[0]!r}?" if close else "; --list shows all"
            raise InvalidRequestError(
                f"expected the name of a check or a group, got {name!r}{hint}"
            )
        found |= {one for one in CHECKS if name in (one, one.partition(".")[0])}
    return found


def _results(chosen: Iterable[ConformanceCheck], subject: Any) -> Iterator[CheckResult]:
    """Run checks in turn; one whose ground is missing is skipped."""
    done: dict[str, CheckResult] = {}
    is_gone = False
    for one in chosen:
        reason = "the server answers no more" if is_gone else _missing_ground(one, done)
        if reason is not None:
            result = CheckResult(check=one, status="skipped", note=reason)
        else:
            result = run_check(one, subject)
            lost = subject.http.complaint() if isinstance(subject, Served) else None
            if lost is not None:
                is_gone, result = True, _with_loss(result, lost)
        done[one.name] = result
        yield result


def _missing_ground(one: ConformanceCheck, done: dict[str, CheckResult]) -> str | None:
    for name in one.needs:
        ground = done.get(name)
        if ground is not None and ground.status in ("failed", "skipped", "broken"):
            return (
                f"needs {name}, which {'was ' if ground.status != 'failed' else ''}{ground.status}"
            )
    return None


def _with_loss(result: CheckResult, lost: Complaint) -> CheckResult:
    """Return the result of a check after which the server answers no more."""
    if result.status == "failed":  # which says more of it
        return result
    complaint = replace(lost, expected="a server that goes on after this check")
    return replace(result, status="failed", complaints=(*result.complaints, complaint))
