"""What a worker prints goes to the server's log, as far as one worker may fill it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from openenv_gym.texts import quoted
from openenv_gym.workers.output import Output

_log = logging.getLogger(__name__)

BURST_LINES = 100
LINES_PER_S = 5.0
_LINE_CHARS = 1000


class OutputLog:
    """Logs the lines of one worker.

    Args:
        pid: The process id of the worker.
        output: What the worker prints.
        clock: Returns seconds that only grow.
    """

    def __init__(self, pid: int, output: Output, clock: Callable[[], float]) -> None:
        self._pid = pid
        self._output = output
        self._clock = clock
        self._allowed, self._since_s = float(BURST_LINES), clock()
        self._begun = b""
        self._dropped = 0

    def write(self, *, is_last: bool = False) -> None:
        """Log what is new.

        Args:
            is_last: Whether nothing more will come; until then only whole lines are logged.
        """
        new = self._output.read()
        if not new and not (is_last and (self._begun or self._dropped)):
            return
        *lines, self._begun = (self._begun + new).split(b"\n")
        if is_last or len(self._begun) > _LINE_CHARS:
            lines, self._begun = [*lines, self._begun], b""
        now_s = self._clock()
        earned = (now_s - self._since_s) * LINES_PER_S
        self._allowed, self._since_s = min(float(BURST_LINES), self._allowed + earned), now_s
        for line in lines:
            self._write_line(line)
        if is_last and self._dropped:
            self._say_dropped()

    def _write_line(self, line: bytes) -> None:
        if not line.strip():
            return
        if self._allowed < 1:
            self._dropped += 1
            return
        self._allowed -= 1
        if self._dropped:
            self._say_dropped()
        _log.warning("worker %d: %s", self._pid, _printable(line))

    def _say_dropped(self) -> None:
        _log.warning("worker %d: (%d lines more were not logged)", self._pid, self._dropped)
        self._dropped = 0


def _printable(line: bytes) -> str:
    """The beginning of a line, without what would move a terminal's cursor or forge a line."""
    return quoted(line[:_LINE_CHARS].decode(errors="replace").rstrip(), None)
