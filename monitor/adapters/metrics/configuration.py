"""Whether the configuration on disk is the one that the process works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.adapters.metrics.catalogue import CONFIGURATION
from monitor.app.reload import Reloaded


class ConfigCollector(Collector):
    """`state` is asked at each scrape."""

    def __init__(self, state: Callable[[], Reloaded]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        values = (float(state.successful), state.last_success.timestamp())
        for (name, text), value in zip(CONFIGURATION.items(), values, strict=True):
            yield GaugeMetricFamily(name, text, value=value)
