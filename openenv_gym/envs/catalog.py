"""The ids of the namespace, and the games of OpenSpiel, as tables for people."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym

from openenv_gym.adapters.openspiel_survey import GameRow, decode_rows
from openenv_gym.envs.registration import GAMES_FILE, NAMESPACE
from openenv_gym.errors import InvalidRequestError
from openenv_gym.workers.built_env import our_schemes
from openenv_gym.workers.schemes import DeclaredScheme, declared_schemes, load_adapter

GROUPS = {
    "any": "Any environment",
    "gymnasium": "Gymnasium's own",
    "openspiel": "Games of OpenSpiel",
    "adapter": "By adapters of packages, for `openenv-gym serve` and env_id=",
}
_ANY = {
    "gymnasium-v0": "any environment of Gymnasium: env_id='CartPole-v1', env_id='module:Class'",
    "gym-v0": "any environment of the package gym: env_id='CartPole-v1', env_id='module:id'",
    "openspiel-v0": "any game of OpenSpiel: game='catch(rows=5,columns=4)'",
    "remote-v0": "whatever a server serves: base_url='http://host:port'",
}

COLUMNS = ("id", "players", "dynamics", "chance", "rewards", "actions", "observation", "note")
"""What a terminal shows of a game."""

_UNBOUNDED = 10**6  # python_mfg_predator_prey says 10**9 players
_BEGIN, _END = "<!-- table -->\n", "<!-- end of the table -->\n"


class Listed(NamedTuple):
    """One id, or one name.

    Attributes:
        id: The id that ``gymnasium.make`` takes, or a name with a scheme.
        group: A key of :data:`GROUPS`.
        what: What it makes.
    """

    id: str
    group: str
    what: str


def registered_ids() -> list[Listed]:
    """Return the ids of the namespace, as they were registered, group by group."""
    with open(GAMES_FILE, "rb") as file:
        games = {row.name: row for row in decode_rows(file.read())}
    specs = [spec for spec in gym.registry.values() if spec.namespace == NAMESPACE]
    listed = [_listed(spec, games) for spec in specs]
    return sorted(listed, key=lambda one: tuple(GROUPS).index(one.group))


def adapter_names() -> list[Listed]:
    """Return the names that the adapters of packages tell, scheme by scheme.

    This loads the adapters. One that cannot be loaded, or tells no names, has one row that says so.
    """
    return [
        Listed(f"{one.scheme}:{name}", "adapter", what)
        for one in declared_schemes()
        for name, what in _names(one)
    ]


def _names(declared: DeclaredScheme) -> list[tuple[str, str]]:
    scheme, package = declared.scheme, declared.package
    if scheme in our_schemes():
        return [("NAME", f"not used: {package} declares a scheme that is built in")]
    try:
        # What a package prints when it is imported is no part of the list.
        with contextlib.redirect_stdout(sys.stderr):
            adapter = load_adapter(scheme)
            known = adapter.names() if hasattr(adapter, "names") else ["NAME"]
            return [(str(name), f"by {package}") for name in known]
    except Exception as exc:  # one that is broken hides no others
        why = (str(exc) or type(exc).__name__).splitlines()[0]
        return [("NAME", f"by {package}, which tells no names: {why}")]


def _listed(spec: Any, games: dict[str, GameRow]) -> Listed:
    row = games.get(spec.kwargs.get("game", ""))
    if row is not None:
        return Listed(spec.id, "openspiel", _sentence(row))
    if "env_id" in spec.kwargs:
        limit = spec.max_episode_steps
        steps = f", {limit} steps at most" if limit is not None else ""
        return Listed(spec.id, "gymnasium", f"{spec.kwargs['env_id']}{steps}")
    return Listed(spec.id, "any", _ANY.get(spec.id.partition("/")[2], ""))


def _sentence(row: GameRow) -> str:
    cells = game_cells(row)
    players = f"{cells['players']} player{'s' if row.players != 1 else ''}"
    parts = [players, row.dynamics.replace("_", "-"), f"{row.actions} actions"]
    if row.example != row.name:
        parts.append(f"needs parameters: game={row.example!r}")
    return ", ".join(parts)


def game_cells(row: GameRow) -> dict[str, str]:
    """Return what docs/openspiel.md says of a game, by column."""
    return {
        "id": row.name if row.why_not else f"{NAMESPACE}/{row.name}-v0",
        "players": _players(row),
        "dynamics": row.dynamics.replace("_", "-"),
        "chance": row.chance,
        "rewards": row.rewards,
        "utility": row.utility.replace("_", "-"),
        "information": row.information.replace("_", "-"),
        "actions": _number(row.actions),
        "observation": ", ".join(_forms(row)) or "-",
        "most moves": _number(row.max_length),
        "note": "; ".join(_notes(row)),
    }


def _players(row: GameRow) -> str:
    if row.min_players == row.max_players:
        return str(row.max_players)
    is_bounded = row.max_players < _UNBOUNDED
    allowed = f"{row.min_players}-{row.max_players}" if is_bounded else f"{row.min_players}+"
    return allowed if row.players is None else f"{row.players} ({allowed})"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _forms(row: GameRow) -> list[str]:
    """The forms of an observation, the default first."""
    shapes = {"info_state": row.info_state, "observation": row.observation}
    forms = [
        f"{form} {'x'.join(map(str, shape))}" for form, shape in shapes.items() if shape is not None
    ]
    return [*forms, "string"] if row.has_string else forms


def _notes(row: GameRow) -> list[str]:
    if row.why_not:
        return [f"not supported: {row.why_not}"]
    notes = ["in Python"] if row.is_python else []
    return [*notes, f"as {row.example}"] if row.example != row.name else notes


def text_table(rows: Iterable[GameRow]) -> str:
    """Return the games as columns of plain text."""
    table = [[column.upper() for column in COLUMNS]]
    for row in rows:
        cells = game_cells(row)
        table.append([cells[column] for column in COLUMNS])
    return aligned(table)


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines, with every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return "\n".join(lines)


def markdown_table(rows: Sequence[GameRow]) -> str:
    """Return the games as markdown, with a sentence that counts them; there is at least one."""
    refused = sum(bool(row.why_not) for row in rows)
    table = [game_cells(row) for row in rows]
    lines = [
        f"{len(rows)} games: {len(rows) - refused} are supported, {refused} are not.",
        "",
        f"| {' | '.join(table[0])} |",
        "|---" * len(table[0]) + "|",
    ]
    for cells in table:
        cells["id"] = f"`{cells['id']}`"
        lines.append(f"| {' | '.join(cells.values())} |")
    return "\n".join(lines)


def with_table(page: str, table: str) -> str:
    """Return a page with another table between its two markers.

    Raises:
        InvalidRequestError: The page does not have the markers.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise InvalidRequestError(
            f"--write: the file has no place for the table. Put these two lines there: "
            f"{_BEGIN.strip()} and {_END.strip()}"
        )
    return f"{before}{begin}\n{table}\n\n{end}{after}"
