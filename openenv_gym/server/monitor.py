"""What a server notes of what happens in it: counts, and the log of what environments raise.

Nothing here is called in a step that goes well, but for the few whose time is taken
(:mod:`openenv_gym.server.process_backend`). :mod:`openenv_gym.server.metrics` shows the counts.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

from openenv_gym.errors import CapacityError, OpenEnvGymError
from openenv_gym.faults import FaultKind
from openenv_gym.protocol import Body
from openenv_gym.protocol.binary_messages import STEP
from openenv_gym.texts import quoted
from openenv_gym.wire.error_codes import is_refusal
from openenv_gym.workers.reports import RaisedReport

_log = logging.getLogger(__name__)

BURST_TRACEBACKS = 20
TRACEBACKS_PER_S = 1.0
"""So many tracebacks are logged at once, and so many a second after that, of the whole server."""

BUCKETS_S = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""The upper bounds of the histogram of steps, in seconds."""


class Histogram:
    """Counts durations by how long they are.

    Attributes:
        counts: How many lie in each bucket of :data:`BUCKETS_S`, and at the end how many above.
        sum_s: Their sum in seconds.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        self.sum_s += duration_s


class Monitor:
    """The counts of one server, and its log of failures of environments.

    Args:
        clock: Returns seconds that only grow.

    Attributes:
        opens: How many environments were opened, and how many failed to open.
        refusals: How often something was refused, by the reason.
        faults: How many sessions or sub-environments were lost to a fault, by its kind.
        restarts: How often something was begun anew, by what it is.
        steps: How long steps took, as far as their time was taken.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # environments may live in threads
        self._allowed, self._since_s = float(BURST_TRACEBACKS), clock()
        self._left_out = 0
        self.opens: Counter[str] = Counter(opened=0, failed=0)
        self.refusals: Counter[str] = Counter()
        self.faults: Counter[str] = Counter({kind.value: 0 for kind in FaultKind})
        self.restarts: Counter[str] = Counter(environment=0, forkserver=0)
        self.steps = Histogram()

    def refused(self, reason: str | OpenEnvGymError) -> None:
        """Count a refusal; of an error the reason is its code, and a failure is none."""
        if isinstance(reason, OpenEnvGymError):
            is_draining = (fault := reason.fault) and fault.kind is FaultKind.SERVER_DRAINING
            is_full = isinstance(reason, CapacityError)
            if not (is_full or is_refusal(reason.code)):
                return
            reason = "server_draining" if is_draining else reason.code
        self.refusals[reason.lower()] += 1

    def timed(self, body: Body, answer: Callable[[Body], bytes]) -> bytes:
        """Return the answer to a request, and take its time if it is a step."""
        begin_s = self._clock()
        reply = answer(body)
        if body and body[0] == STEP:
            self.steps.observe(self._clock() - begin_s)
        return reply

    def take(self, report: RaisedReport, who: str) -> None:
        """Count a failure and log it, unless there were too many.

        Args:
            report: What failed, and how.
            who: Where that was, for people.
        """
        with self._lock:
            self.faults[report.kind.value] += 1 + report.left_out
            self.restarts["environment"] += report.is_begun_anew
            self._left_out += report.left_out
            if not self._may_log():
                self._left_out += 1
                return
            self._allowed -= 1
            self._say_left_out()
        for line in report.text.rstrip().splitlines():
            _log.warning("%s, error %s: %s", who, report.number, quoted(line, None))

    def look(self, *, is_last: bool = False) -> None:
        """Say how many tracebacks were left out, once there are fewer."""
        if not self._left_out:
            return
        with self._lock:
            if is_last or self._may_log():
                self._say_left_out()

    def _may_log(self) -> bool:
        now_s = self._clock()
        earned = (now_s - self._since_s) * TRACEBACKS_PER_S
        self._allowed, self._since_s = min(float(BURST_TRACEBACKS), self._allowed + earned), now_s
        return self._allowed >= 1

    def _say_left_out(self) -> None:
        left_out, self._left_out = self._left_out, 0
        if left_out:
            _log.warning("(%d tracebacks more were not logged)", left_out)
