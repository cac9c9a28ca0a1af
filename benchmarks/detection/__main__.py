"""`python -m benchmarks detection`: false alarms and delays on generated streams."""

from __future__ import annotations

from benchmarks.detection.simulate import main

main()
