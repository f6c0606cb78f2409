"""Flags of a command, made of the fields of a record of settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.server.setting import setting_of, unit_of
from openenv_gym.server.settings import json_object


def add_flags(parser: argparse.ArgumentParser, kind: type[Any]) -> None:
    """Add a flag for each field of ``kind`` that is not internal.

    A field without a default is a positional argument. The defaults are those of the record:
    a flag that is not given leaves nothing behind in the namespace.
    """
    for one in fields(kind):
        known = setting_of(one)
        if known.says is None:
            continue
        if one.default is MISSING and one.default_factory is MISSING:
            parser.add_argument(one.name, help=known.says)
            continue
        always: dict[str, Any] = {"dest": one.name, "default": argparse.SUPPRESS}
        always["help"] = _help(one, known.says)
        if known.is_switch:
            parser.add_argument(flag_of(one), action=argparse.BooleanOptionalAction, **always)
            continue
        if known.parse is bool:
            parser.add_argument(flag_of(one), action="store_true", **always)
            continue
        parser.add_argument(
            flag_of(one),
            **always,
            action="append" if known.is_repeated else "store",
            choices=known.choices or None,
            type=parsing(known.parse),
            metavar=known.metavar or unit_of(one.name)[1],
        )


def add_kwargs(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the keyword arguments of an environment that is named."""
    parser.add_argument(
        "--kwargs",
        type=parsing(json_object),
        default={},
        metavar="JSON",
        help="keyword arguments of an environment that is named, as a JSON object",
    )


def flag_of(one: Field[Any]) -> str:
    """Return the flag of a field, which does not repeat the unit: ``--step-timeout``."""
    name = one.name if unit_of(one.name)[1] is None else one.name.rpartition("_")[0]
    name = name.removesuffix("s") if setting_of(one).is_repeated else name
    return f"--{name.replace('_', '-')}"


def given(kind: type[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the fields of ``kind``."""
    return {one.name: getattr(options, one.name) for one in fields(kind) if one.name in options}


def parsing(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return ``parse`` for argparse, which shows what is wrong with a text."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except OpenEnvGymError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    parsed.__name__ = parse.__name__  # which argparse shows where `parse` raises ValueError
    return parsed


def positive(text: str) -> int:
    """Return the number of at least 1 in ``text``, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)


def _help(one: Field[Any], says: str) -> str:
    zero, default = setting_of(one).zero, one.default
    if says is argparse.SUPPRESS:
        return says
    text = says if zero is None else f"{says}, 0 for {zero}"
    if setting_of(one).is_repeated:
        text += "; may be given more than once"
    if default in (MISSING, None, ()) or default is False:
        return text
    return f"{text} (default: {f'{default:g}' if isinstance(default, float) else default})"
