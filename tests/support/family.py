"""The processes of a server."""

from __future__ import annotations

import psutil

from openenv_gym.launchers.embedded import EMBEDDED
from tests.support.waiting import wait_until


def forkserver_of(pid: int) -> psutil.Process:
    """The process that forks the workers of the server ``pid``."""
    (found,) = [one for one in psutil.Process(pid).children() if is_forkserver(one)]
    return found


def is_forkserver(process: psutil.Process) -> bool:
    """Whether it is one; the workers that it forks have the same command line."""
    try:
        parent = process.parent()
        commands = [process.cmdline(), parent.cmdline() if parent else []]
    except psutil.NoSuchProcess:
        return False
    names = [any(word.startswith("--fork-with") for word in words) for words in commands]
    return names == [True, False]


def workers_of(pid: int) -> list[psutil.Process]:
    """All processes below the server ``pid`` but its forkserver."""
    everybody = psutil.Process(pid).children(recursive=True)
    return [one for one in everybody if not is_forkserver(one)]


def only_worker_of(pid: int) -> psutil.Process:
    """Wait until a single process is left below the server ``pid`` but its forkserver, and runs.

    A worker that ended may not have been reaped, and one that was asked for not have been forked.
    """
    found: list[psutil.Process] = []

    def is_alone() -> bool:
        found[:] = workers_of(pid)
        return len(found) == 1 and not has_ended(found[0])

    wait_until(is_alone)
    return found[0]


def family_of(pid: int, count: int) -> list[psutil.Process]:
    """The server ``pid`` and all below it, once that many run.

    A server that has just begun may be about to fork the workers that wait, and to see off the one
    that told what is served.
    """
    server = psutil.Process(pid)
    family: list[psutil.Process] = []

    def is_complete() -> bool:
        family[:] = [server, *server.children(recursive=True)]
        return len(family) == count and not any(map(has_ended, family))

    wait_until(is_complete)
    return family


def embedded_workers(count: int) -> list[psutil.Process]:
    """The first so many embedded workers of this process; others may be of other tests."""
    return [psutil.Process(EMBEDDED._workers[number].pid) for number in range(count)]


def has_ended(process: psutil.Process | int) -> bool:
    """Whether a process, or the one of this id, runs no more; it may not have been reaped."""
    try:
        known = psutil.Process(process) if isinstance(process, int) else process
        return known.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
