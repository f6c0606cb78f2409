"""The log of a server: one format for uvicorn's lines and ours, in which no line can be forged."""

from __future__ import annotations

import copy
import logging

from uvicorn.logging import AccessFormatter, DefaultFormatter

from openenv_gym.texts import quoted

_OURS = "openenv_gym"


class EscapingFormatter(logging.Formatter):
    r"""Has another formatter write lines whose texts have no control characters.

    Texts of clients and of environments get into messages. ``\n[INFO] ...`` would look like a line
    of the server itself, and an escape sequence could clear the screen of who reads the log. The
    lines of a traceback are indented, so that none looks like the beginning of a message.

    Args:
        inner: Writes the line.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it."""
        record = copy.copy(record)
        if isinstance(self._inner, AccessFormatter) and isinstance(record.args, tuple):
            record.args = tuple(
                quoted(one, None) if isinstance(one, str) else one for one in record.args
            )
        else:
            record.msg, record.args = quoted(record.getMessage(), None), None
            vars(record).pop("color_message", None)
        if record.exc_info and record.exc_info[1] is not None:
            lines = self.formatException(record.exc_info).splitlines()
            record.exc_text = "\n".join(f"    {quoted(line, None)}" for line in lines)
            record.exc_info = None
        return self._inner.format(record)


def begin_log(level: str) -> None:
    """Have what this package logs printed, unless the program has said where its log goes."""
    logger = logging.getLogger(_OURS)
    logger.setLevel(level.upper())
    if logger.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(DefaultFormatter("%(levelprefix)s %(message)s"))
    logger.addHandler(handler)


def escape_log() -> None:
    """Have all lines of this package and of uvicorn escaped, when uvicorn has made its log."""
    for name in (_OURS, "uvicorn", "uvicorn.access"):
        for handler in logging.getLogger(name).handlers:
            inner = handler.formatter or logging.Formatter()
            if not isinstance(inner, EscapingFormatter):
                handler.setFormatter(EscapingFormatter(inner))
