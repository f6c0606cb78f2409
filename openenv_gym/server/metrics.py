"""``/metrics``: the counts of a server in the format of Prometheus.

Everything is counted where it happens, in plain numbers (:mod:`openenv_gym.server.monitor`), and
put into the format when somebody asks. So the package ``prometheus_client`` is needed only here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import accumulate
from typing import Any

from openenv_gym.server.monitor import BUCKETS_S
from openenv_gym.server.service import Service

MISSING = "to see metrics, install prometheus_client here: pip install 'openenv-gym[metrics]'"
"""What is told where the package is not there."""

_PREFIX = "openenv_gym_"


def exposition(service: Service) -> tuple[bytes, str] | None:
    """Return the metrics as text, and its content type; None without ``prometheus_client``."""
    if find_spec("prometheus_client") is None:
        return None
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(service))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    """Has the metrics of a service in the form that ``prometheus_client`` asks for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Any]:
        """Return nothing: the names are known when the metrics are collected."""
        return []

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import HistogramMetricFamily

        service, monitor = self._service, self._service.monitor
        sessions = service.sessions.states
        yield _gauge("sessions", "Sessions with an environment", {"state": sessions})
        yield _gauge("max_sessions", "Slots", service.settings.max_sessions)
        yield _gauge("loop_lag_seconds", "How late the event loop is", service.loop_lag.lag_s)
        yield _counter("opens", "Environments that were to be opened", {"outcome": monitor.opens})
        yield _counter("refusals", "Requests that were refused", {"reason": monitor.refusals})
        yield _counter("faults", "Faults of environments and workers", {"kind": monitor.faults})
        yield _counter("restarts", "What was begun anew", {"what": monitor.restarts})
        steps = monitor.steps
        bounds = [*map(str, BUCKETS_S), "+Inf"]
        yield HistogramMetricFamily(
            f"{_PREFIX}step_seconds",
            "Time from a step to its reply in the server; of workers a sample, "
            "five steps a second of each session at most",
            buckets=list(zip(bounds, accumulate(steps.counts), strict=True)),
            sum_value=steps.sum_s,
        )


def _gauge(name: str, says: str, values: float | Mapping[str, Mapping[str, int]]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    if not isinstance(values, Mapping):
        return GaugeMetricFamily(_PREFIX + name, says, value=values)
    return _labelled(GaugeMetricFamily, name, says, values)


def _counter(name: str, says: str, values: Mapping[str, Mapping[str, int]]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return _labelled(CounterMetricFamily, name, says, values)


def _labelled(kind: Any, name: str, says: str, values: Mapping[str, Mapping[str, int]]) -> Any:
    ((label, counts),) = values.items()
    family = kind(_PREFIX + name, says, labels=[label])
    for value, count in sorted(dict(counts).items()):
        family.add_metric([value], count)
    return family
