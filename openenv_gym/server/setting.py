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
        says: What the setting is, as ``serve --help`` shows it; None hides the flag.
        flag: The name of the flag, without dashes; made of the field's name unless given.
        metavar: What ``--help`` shows in place of the value.
        parse: Makes the value of a text; raises ``InvalidRequestError`` or ``ValueError``.
        choices: The values that there are; empty where there is no list of them.
        is_internal: Whether ``serve`` has no flag for it.
        is_repeated: Whether the flag may be given more than once.
        zero: Of a number, what 0 stands for; None for a value that is not checked.
        is_optional: Whether None stands for the same as 0.
    """

    says: str | None = None
    flag: str | None = None
    metavar: str | None = None
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    is_internal: bool = False
    is_repeated: bool = False
    zero: str | None = None
    is_optional: bool = True

    def check(self, name: str, value: Any) -> None:
        """Pass if ``value`` is one that the field ``name`` may have.

        Raises:
            InvalidRequestError: it is none of the choices, or negative, endless or no number.
        """
        if self.choices and value not in self.choices:
            raise InvalidRequestError(
                f"{name}: expected one of {', '.join(self.choices)}, got {value!r}"
            )
        if self.zero is None or (self.is_optional and value is None):
            return
        if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            zero = f"{'None or ' if self.is_optional else ''}0 for {self.zero}"
            raise InvalidRequestError(
                f"{name}: expected {unit_of(name)[0]}, or {zero}, got {value!r}"
            )


def unit_of(name: str) -> tuple[str, str | None]:
    """Return the unit of the field ``name`` and what ``--help`` shows for it, if it has one."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), ("a number", None))


def setting_of(one: Field[Any]) -> Setting:
    """Return what is known of a field of :class:`ServerSettings` or :class:`Listener`."""
    found: Setting = one.metadata["setting"]
    return found


def setting(default: Any = MISSING, says: str | None = None, **known: Any) -> Any:
    """Return a field for a dataclass of settings.

    Args:
        default: The default, or a function without arguments that makes it; none makes the field a
            positional argument of the command.
        says: See :class:`Setting`.
        **known: The other attributes of :class:`Setting`. A number is read as the type of its
            default unless ``parse`` is given.
    """
    if isinstance(default, (int, float)):
        known = {"parse": type(default), **known}
    is_made = callable(default)
    start: dict[str, Any] = {"default_factory" if is_made else "default": default}
    return field(**start, metadata={"setting": Setting(says=says, **known)})


def check(record: Any) -> None:
    """Pass if each field of ``record`` has a value that it may have.

    Raises:
        InvalidRequestError: one has not.
    """
    for one in fields(record):
        setting_of(one).check(one.name, getattr(record, one.name))
