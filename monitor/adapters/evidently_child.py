"""What runs in the reporting child: two tables in, one HTML page out."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from monitor.adapters.child_channel import Channel

if TYPE_CHECKING:
    import pandas as pd

_NO_TELEMETRY = {"DO_NOT_TRACK": "1", "EVIDENTLY_DISABLE_TELEMETRY": "1"}  # of its parts, old and new


def main() -> None:
    os.environ.update(_NO_TELEMETRY)  # before the import, which reads them
    channel = Channel()
    received = [channel.receive() for _ in range(3)]
    if any(message is None for message in received):
        return
    order, reference, current = (message for message in received if message is not None)
    try:
        page = render(order[0], _frame(reference[1]), _frame(current[1]))
    except Exception as exc:  # whatever Evidently raises, the parent hears of it
        channel.send({"error": f"{type(exc).__name__}: {exc}"})
        return
    channel.send({}, page.encode())


def render(order: Mapping[str, Any], reference: pd.DataFrame, current: pd.DataFrame) -> str:
    """The page, with `order["title"]` on top; `order["columns"]` maps each column to numeric or categorical."""
    warnings.simplefilter("ignore")  # constant columns divide by zero in Evidently's correlations
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    columns: Mapping[str, str] = order["columns"]
    definition = DataDefinition(
        numerical_columns=[name for name, kind in columns.items() if kind == "numeric"],
        categorical_columns=[name for name, kind in columns.items() if kind == "categorical"],
    )
    result = Report([DataDriftPreset(), DataSummaryPreset()]).run(
        Dataset.from_pandas(current, definition), Dataset.from_pandas(reference, definition)
    )
    page: str = result.get_html_str(as_iframe=False)
    return _titled(page, order["title"], order["remarks"])


def _titled(page: str, title: str, remarks: list[str]) -> str:
    """Evidently's page has neither a title nor a place for remarks."""
    heading = html.escape(title)
    noted = "".join(f"<p>{html.escape(remark)}</p>" for remark in remarks)
    page = page.replace("<head>", f"<head><title>{heading}</title>", 1)
    style = "font-family: sans-serif; padding: 1rem 2rem 0"
    return page.replace("<body>", f'<body><div style="{style}"><h2>{heading}</h2>{noted}</div>', 1)


def _frame(body: bytes) -> pd.DataFrame:
    """Categories and booleans become text: Evidently sorts the values it meets."""
    table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
    for place, field in enumerate(table.schema):
        if not pa.types.is_floating(field.type):
            plain = table.column(place).cast(pa.string())
            table = table.set_column(place, field.name, plain)
    return table.to_pandas()


if __name__ == "__main__":
    main()
