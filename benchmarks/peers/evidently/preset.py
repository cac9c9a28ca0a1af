"""What Evidently's users call: the data drift preset, with its report. No HTML is written."""

from __future__ import annotations

from evidently import Report
from evidently.presets import DataDriftPreset

PACKAGES = ("evidently", "scipy", "numpy", "pandas")


def univariate(reference):
    return lambda current: Report([DataDriftPreset()]).run(current, reference)
