"""The processes of a server."""

from __future__ import annotations

import psutil


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


def has_ended(process: psutil.Process | int) -> bool:
    """Whether a process, or the one of this id, runs no more; it may not have been reaped."""
    try:
        known = psutil.Process(process) if isinstance(process, int) else process
        return known.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
