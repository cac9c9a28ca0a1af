"""What Prometheus might have scraped, and when an alert must fire: written out for `promtool test rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JOB = "monitor"
DEPLOYMENT = "prices"


def metric(name: str, *, instance: str = "a", **labels: str) -> str:
    """A series of the one deployment, as the daemon at `instance` shows it."""
    own = {"job": JOB, "instance": instance, "deployment": DEPLOYMENT, **labels}
    return _series(f"monitor_{name}", own)


def process(name: str, *, instance: str = "a") -> str:
    """A series of the daemon itself."""
    return _series(name, {"job": JOB, "instance": instance})


def _series(name: str, labels: Mapping[str, str]) -> str:
    matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{matchers}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """`series`: values from time 0 on, one per `step`, in promtool's notation. `silent`, `fires`: moments."""

    title: str
    series: Mapping[str, str]
    fires: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    step: str = "15s"
    evaluated: str = "1m"

    def to_test(self, alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
        """One entry under `tests`: how many alerts of this name, and with these labels, fire at each moment."""
        firing = _series("ALERTS", {"alertname": alert, "alertstate": "firing"})
        described = _series("ALERTS", {"alertname": alert, "alertstate": "firing", **labels})
        expected = [(moment, firing, 0) for moment in self.silent] + [(moment, described, 1) for moment in self.fires]
        return {
            "name": f"{alert}: {self.title}",
            "interval": self.step,
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": f"count({selector}) or vector(0)",
                    "eval_time": moment,
                    "exp_samples": [{"labels": "{}", "value": number}],
                }
                for moment, selector, number in expected
            ],
        }
