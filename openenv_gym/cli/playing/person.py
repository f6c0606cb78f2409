"""A person who plays: by single keys where there are few actions, else by what is typed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from openenv_gym.cli.playing.choosing import form_of, legal_names, legal_of, names_of, typed_action
from openenv_gym.cli.playing.keys import MOST_KEYS, NEW_EPISODE, QUIT, Keyboard, keys_of
from openenv_gym.cli.playing.table import PlayTable
from openenv_gym.errors import InvalidActionError, InvalidRequestError

_IDLE = ("noop", "stay", "idle", "nothing", "do_nothing", "dont_accelerate")
_ELSE = f"{NEW_EPISODE} new episode   {QUIT} quit"
_MOST_LISTED = 40


def play(table: PlayTable, console: Console, fps: float | None) -> None:
    """Let a person play until they leave.

    Args:
        table: Where they sit.
        console: What they see.
        fps: How many steps a second the game takes by itself; None waits for the person.
    """
    names = names_of(table.env)
    table.begin()
    if names is not None and len(names) <= MOST_KEYS and _is_terminal(console):
        _by_keys(table, console, names, fps)
    else:
        _by_lines(table, console, names or ())
    table.leave()


def _is_terminal(console: Console) -> bool:
    return console.is_terminal and sys.stdin.isatty()


def _by_keys(table: PlayTable, console: Console, names: list[str], fps: float | None) -> None:
    start = int(getattr(table.env.action_space, "start", 0))
    with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            legal = [] if table.episode.end else legal_of(table.env, table.info) or []
            for action, name in zip(legal, legal_names(table.env, names, legal), strict=True):
                names[action] = name  # games call actions after the state that they are in
            keys = keys_of(names)
            live.update(_screen(table, console, names, keys, legal), refresh=True)
            key = _pressed(keyboard, None if table.episode.end else fps)
            if key == QUIT:
                return
            if key == NEW_EPISODE:
                table.begin()
                continue
            chosen = keys.get(key) if key is not None else _idle(names)
            if chosen is not None and chosen in legal:
                table.step(start + chosen)


def _idle(names: Sequence[str]) -> int:
    """What is done while nobody presses a key."""
    return next((i for i, name in enumerate(names) if name.lower() in _IDLE), 0)


def _pressed(keyboard: Keyboard, fps: float | None) -> str | None:
    """The next key; with ``fps``, the last one of the time that a step takes, None without any."""
    if fps is None:
        return keyboard.key()
    last, end_s = None, time.monotonic() + 1 / fps
    while (left_s := end_s - time.monotonic()) > 0:
        key = keyboard.key(left_s)
        if key in (QUIT, NEW_EPISODE):
            return key
        last = key or last
    return last


def _screen(
    table: PlayTable,
    console: Console,
    names: Sequence[str],
    keys: dict[str, int],
    legal: Sequence[int],
) -> Group:
    of_action: dict[int, list[str]] = {}
    for key, action in keys.items():
        of_action.setdefault(action, []).append("space" if key == " " else key)
    shown = [f"{' '.join(of_action[one])} {names[one]}" for one in legal]
    return Group(
        Text(table.title(), style="bold"),
        table.picture(console.height),
        Text("   ".join([*shown, _ELSE]), style="dim"),
    )


def _by_lines(table: PlayTable, console: Console, names: Sequence[str]) -> None:
    while True:
        console.print(Text(table.title(), style="bold"))
        console.print(table.picture(console.height))
        legal = legal_of(table.env, table.info) or []
        called = legal_names(table.env, names, legal) if names else []
        typed = "" if table.episode.end else _question(table, console, legal, called)
        try:
            said = console.input(Text(f"{typed}{_ELSE} > ")).strip()
        except EOFError:
            console.print()
            return
        if said == QUIT:
            return
        if said == NEW_EPISODE:
            table.begin()
            continue
        try:
            table.step(_action(table, said, legal, called))
        except (InvalidActionError, InvalidRequestError) as exc:
            console.print(Text(str(exc), style="red"), soft_wrap=True)


def _action(table: PlayTable, said: str, legal: Sequence[int], called: Sequence[str]) -> object:
    if table.episode.end:
        raise InvalidActionError("the episode has ended")
    if said in called:
        return int(getattr(table.env.action_space, "start", 0)) + legal[list(called).index(said)]
    return typed_action(said, table.env.action_space)


def _question(
    table: PlayTable, console: Console, legal: Sequence[int], called: Sequence[str]
) -> str:
    if not called:
        return f"{form_of(table.env.action_space)}; "
    start = int(getattr(table.env.action_space, "start", 0))
    listed = [
        name if name == str(start + one) else f"{start + one} {name}"
        for one, name in zip(legal, called, strict=True)
    ]
    more = f" … {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
    console.print(Text(f"{', '.join(listed[:_MOST_LISTED])}{more}", style="dim"))
    return "a number or a name; "
