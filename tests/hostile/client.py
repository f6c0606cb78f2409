"""A client in a process of its own: it meets one hostile server after the other.

It reads a line of JSON for each, ``{"url": ..., "play": ...}``, and answers with one: how it ended,
how long that took, and how much memory the process had at most meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

import openenv_gym
from openenv_gym.cli import main
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.endpoints import ConnectOptions

GUARD_BYTES = 6 << 30
"""A client without bounds must not take the machine with it."""


class Seen(Exception):
    """What a user sees, as it is."""


def how(deadline_s: float) -> dict[str, Any]:
    options = WebSocketOptions(connect_timeout_s=deadline_s, resume_timeout_s=0)
    return {"timeout_s": deadline_s, "options": options}


def make(url: str, deadline_s: float, **arguments: Any) -> None:
    more = {"on_fault": "raise", "disable_env_checker": True}
    arguments = {**how(deadline_s), **more, **arguments}
    env = gym.make("openenv/remote-v0", base_url=url, **arguments)
    try:
        env.reset(seed=0)
        for _ in range(2):
            env.step(env.action_space.sample())
    finally:
        env.close()


def masks(url: str, deadline_s: float) -> None:
    env = gym.make("openenv/remote-v0", base_url=url, codec="binary", **how(deadline_s))
    env.reset(seed=0)
    env.unwrapped.action_masks()


def make_vec(url: str, deadline_s: float, **arguments: Any) -> None:
    arguments = {**how(deadline_s), "on_fault": "raise", **arguments}
    envs = gym.make_vec("openenv/remote-v0", num_envs=4, base_url=url, **arguments)
    try:
        envs.reset(seed=0)
        envs.step(envs.action_space.sample())
    finally:
        envs.close()


def inspect(url: str, deadline_s: float) -> None:
    found = openenv_gym.inspect(url, options=ConnectOptions(**how(deadline_s)))
    raise Seen(f"printed: {found.problem}")


def command(url: str, deadline_s: float) -> None:
    """The command prints what it finds: that is the error here, so that it can be looked at."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main(["inspect", url])
    raise Seen(f"printed: {out.getvalue()}{err.getvalue()}")


def plain(warning: Any) -> str:
    """The text of a warning without the colour that Gymnasium gives it."""
    return str(warning).removeprefix("\x1b[33m").removesuffix("\x1b[0m")


def warned(url: str, deadline_s: float) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gym.make("openenv/remote-v0", base_url=url, **how(deadline_s)).close()
    raise Seen(f"{len(caught)} warnings: {plain(caught[0].message)}")


PLAYS: dict[str, Callable[[str, float], None]] = {
    "make": make,
    "make_vec": make_vec,
    "binary": lambda url, deadline_s: make(url, deadline_s, codec="binary"),
    "binary_vec": lambda url, deadline_s: make_vec(url, deadline_s, codec="binary"),
    "flat": lambda url, deadline_s: make(url, deadline_s, flatten=True),
    "vec": lambda url, deadline_s: make_vec(url, deadline_s, timeout_s="auto"),
    "masks": masks,
    "inspect": inspect,
    "command": command,
    "warned": warned,
}


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def meet(url: str, play: str, deadline_s: float) -> dict[str, Any]:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began_s, cpu_s = time.monotonic(), time.process_time()
    kinds, message = ["nothing"], ""
    try:
        PLAYS[play](url, deadline_s)
    except BaseException as exc:  # whatever it is: the test says what it may be
        kinds, message = [kind.__name__ for kind in type(exc).__mro__], str(exc)
    return {
        "kinds": kinds,
        "message": message,
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "peak_bytes": peak_bytes(),
    }


def run() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GUARD_BYTES, GUARD_BYTES))
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(meet(**asked)), flush=True)


if __name__ == "__main__":
    run()
