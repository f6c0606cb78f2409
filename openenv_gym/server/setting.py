"""One setting: a dataclass field that also knows its flag, its help and its limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from openenv_gym.errors import InvalidRequestError

UNITS = {"_s": ("seconds", "S"), "_mb": ("MiB", "MB")}
"""What a number is counted in, by the end of its name: for messages, and for ``--help``."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known of one field beside its type and its default.

    Attributes:
        says: What the setting is, for ``serve --help``; None declares it internal, without a flag.
        zero: What 0 stands for, where it is a number; None where the number is not checked.
        choices: The values that there are; empty where there is no list of them.
        parse: Makes the value of a text; raises ``InvalidRequestError`` or ``ValueError``.
        metavar: What ``--help`` shows in place of the value.
        is_repeated: Whether the flag, named in the singular, may be given more than once.
        is_secret: Whether no text may show the value.
        is_switch: Whether the flag has no value: ``--name`` is True, and ``--no-name`` False.
    """

    says: str | None
    zero: str | None
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] = str
    metavar: str | None = None
    is_repeated: bool = False
    is_secret: bool = False
    is_switch: bool = False


def setting(
    default: Any = MISSING, says: str | None = None, zero: str | None = None, **known: Any
) -> Any:
    """Return a field for a dataclass of settings.

    Args:
        default: The default, or a function without arguments that makes it; none makes the field a
            positional argument of the command.
        says: The attribute of :class:`Setting`.
        zero: The attribute of :class:`Setting`.
        **known: The other attributes of :class:`Setting`. A number is read as the type of its
            default unless ``parse`` is given.
    """
    if isinstance(default, (int, float)):
        known = {"parse": type(default), **known}
    start: dict[str, Any] = {"default_factory" if callable(default) else "default": default}
    made = Setting(says=says, zero=zero, **known)
    return field(**start, repr=not made.is_secret, metadata={"setting": made})


def setting_of(one: Field[Any]) -> Setting:
    """Return what is known of a field that :func:`setting` made."""
    found: Setting = one.metadata["setting"]
    return found


def unit_of(name: str) -> tuple[str, str | None]:
    """Return the unit of the field ``name``, and what ``--help`` shows for it if it has one."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), ("a number", None))


def check(record: Any) -> None:
    """Pass if each field of ``record`` has a value that it may have.

    Raises:
        InvalidRequestError: a value is none of the choices, or negative, endless or no number.
    """
    for one in fields(record):
        known, value = setting_of(one), getattr(record, one.name)
        if known.choices and value not in known.choices:
            choices = ", ".join(known.choices)
            raise InvalidRequestError(f"{one.name}: expected one of {choices}, got {value!r}")
        may_be_none = str(one.type).endswith("| None")
        if known.zero is None or (value is None and may_be_none):
            continue
        if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            zero = f"{'None or ' if may_be_none else ''}0 for {known.zero}"
            unit = unit_of(one.name)[0]
            raise InvalidRequestError(f"{one.name}: expected {unit}, or {zero}, got {value!r}")
