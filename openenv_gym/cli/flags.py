"""Flags of a command, made of the fields of a record of settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.server.setting import Setting, setting_of, unit_of


def add_flags(parser: argparse.ArgumentParser, kind: type[Any]) -> None:
    """Add a flag for each field of ``kind`` that is not internal.

    A field without a default is a positional argument. The defaults are those of the record:
    a flag that is not given leaves nothing behind in the namespace.
    """
    for one in fields(kind):
        setting = setting_of(one)
        if setting.is_internal:
            continue
        if one.default is MISSING and one.default_factory is MISSING:
            parser.add_argument(one.name, help=setting.says)
            continue
        parser.add_argument(
            flag_of(one.name, setting),
            dest=one.name,
            default=argparse.SUPPRESS,
            action="append" if setting.is_repeated else "store",
            choices=setting.choices or None,
            type=parsing(setting.parse),
            metavar=setting.metavar or unit_of(one.name)[1],
            help=_help(one, setting),
        )


def flag_of(name: str, setting: Setting) -> str:
    """Return the flag of the field ``name``, which does not repeat the unit.

    >>> flag_of("step_timeout_s", Setting())
    '--step-timeout'
    """
    if setting.flag is not None:
        return f"--{setting.flag}"
    has_unit = unit_of(name)[1] is not None
    return f"--{(name.rpartition('_')[0] if has_unit else name).replace('_', '-')}"


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


def _help(one: Field[Any], setting: Setting) -> str:
    if setting.says is None:
        return argparse.SUPPRESS
    text = setting.says if setting.zero is None else f"{setting.says}, 0 for {setting.zero}"
    default = one.default
    if default is MISSING or default is None or default == ():
        return text
    return f"{text} (default: {f'{default:g}' if isinstance(default, float) else default})"
