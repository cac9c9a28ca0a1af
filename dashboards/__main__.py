"""Write the dashboards to where Grafana reads them: `python -m dashboards`."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.column import column
from dashboards.deployment import deployment
from dashboards.fleet import fleet
from dashboards.operations import operations

FOLDER = Path(__file__).parent.parent / "config" / "grafana" / "dashboards"


def files() -> dict[str, str]:
    """File name → JSON of each dashboard."""
    boards = {"fleet": fleet(), "deployment": deployment(), "column": column(), "operations": operations()}
    return {f"{name}.json": _text(board) for name, board in boards.items()}


def _text(board: Dashboard) -> str:
    built = board.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number  # links to a panel go by it
    return json.dumps(built, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
