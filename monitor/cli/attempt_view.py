"""How an attempt to retrain looks: the candidates, the gate's verdict with its checks, and what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitor.cli import output
from monitor.cli.batch_lines import attempt_line

_CHAMPION = "champion"


def attempt_page(result: Mapping[str, Any], metric: str) -> RenderableType:
    """From `Attempt.to_dict`; a failed one has no table."""
    parts: list[RenderableType] = []
    if result["losses"]:
        parts += [_candidates(result, metric), Text()]
    if result["checks"]:
        parts += [_checks(result), Text()]
    parts += [attempt_line(result), *_changed(result)]
    return Group(*parts)


def _candidates(result: Mapping[str, Any], metric: str) -> Table:
    """The smallest loss first; the champion is judged on the same held-out rows."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("model", "held-out loss", "against the champion", metric, "95% interval", ""):
        table.add_column(heading, justify="left" if heading in ("model", "") else "right", no_wrap=True)
    champion = result["losses"].get(_CHAMPION)
    for model, loss in sorted(result["losses"].items(), key=lambda pair: pair[1]):
        low_high = result["intervals"].get(model)
        table.add_row(
            Text(model, style="bold" if model == result["chosen"] else ""),
            output.number(loss, 4),
            f"{loss / champion - 1:+.1%}" if champion and model != _CHAMPION else "",
            output.number(result["metrics"].get(model), 4),
            " to ".join(output.number(edge) for edge in low_high) if low_high else "",
            _chosen(result) if model == result["chosen"] else "",
        )
    for name, why in result["refused"].items():
        table.add_row(Text(name, style="dim"), "–", "", "–", "", Text(f"not tried: {why}", style="dim"))
    return table


def _chosen(result: Mapping[str, Any]) -> str:
    return "← chosen, by its record so far" if result["returning"] is None else "← chosen: it is right again"


def _checks(result: Mapping[str, Any]) -> Table:
    """What the gate asked, in its order."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("check", "candidate", "champion", "limit", "rows"):
        table.add_column(heading, justify="left" if heading == "check" else "right", no_wrap=True)
    table.add_column("found", overflow="fold")
    for check in result["checks"]:
        rows = check["rows"]
        table.add_row(
            check["name"].replace("_", " "),
            output.number(check["candidate"], 4),
            output.number(check["champion"], 4),
            output.number(check["limit"], 4),
            "" if rows is None else f"{rows:,}",
            output.verdict_text(check["finding"]).append(f"  {check['detail']}", style="default not bold"),
        )
    return table


def _changed(result: Mapping[str, Any]) -> Iterator[Text]:
    """What is different now, and what the candidate was fitted on."""
    version = result["version"]
    said = {
        "champion": f"version {version} is the champion now",
        "shadow": f"version {version} is scored beside the champion now; `monitor status` says how far it is",
        "waiting": f"version {version} waits: monitor models promote {version}",
    }
    yield Text(said.get(result["place"], "the champion stays"))
    if result["rows"]:
        rows = output.count(result["rows"], "row")
        yield Text(f"{rows}, {result['held_out']:,} of them held out; {result['seconds']:.1f} s", style="dim")
