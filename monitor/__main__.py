"""`python -m monitor` is the command `monitor`."""

from __future__ import annotations

from monitor.cli.main import run

if __name__ == "__main__":
    run()
