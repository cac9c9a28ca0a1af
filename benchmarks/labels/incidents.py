"""What wrong labels do to the loop, and what holding them is worth.

python -m benchmarks.labels.incidents ../shared/data

In two episodes of five batches each, a third and two thirds into the stream, the labels of every batch are dealt out to
its rows at random. `monitor once` works through the stream as it is, with those labels, and with those labels and
`labels.hold: 0`. What counts is the metric over the ten clean batches after each episode, against the stream as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.loop.product import journal, play
from benchmarks.loop.streams import STREAMS, Cut, Stream, cut
from benchmarks.speed import RESULTS

EPISODE, AFTER = 5, 10  # batches
AS_IS, HELD, NOT_HELD = "as it is", "wrong labels, held", "wrong labels, not held"
CHANGES: Mapping[str, Mapping[str, Any]] = {AS_IS: {}, HELD: {}, NOT_HELD: {"labels": {"hold": 0}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffered:
    """`after`: mean metric over the ten clean batches after each episode; `held`: windows whose labels were held, of
    which `rightly` in the episodes; `released` of them by the monitor itself.
    """

    stream: str
    loop: str
    mean: float
    after: tuple[float, ...]
    attempts: int
    held: int
    rightly: int
    released: int


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.labels.incidents", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the recorded streams")
    parser.add_argument("--streams", nargs="+", choices=list(STREAMS), default=["bike", "noaa"], metavar="STREAM")
    parser.add_argument("--loops", nargs="+", choices=list(CHANGES), default=list(CHANGES), metavar="LOOP")
    parser.add_argument("--seed", type=int, default=0, help="of the wrong labels")
    parser.add_argument("--results", type=Path, default=RESULTS / "incidents.json", metavar="FILE")
    chosen = parser.parse_args()
    found = []
    for name in chosen.streams:
        for loop in chosen.loops:
            with tempfile.TemporaryDirectory(prefix="incidents-") as folder:
                found.append(suffer(STREAMS[name], chosen.data, Path(folder), loop=loop, seed=chosen.seed))
            print(found[-1], file=sys.stderr, flush=True)
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    chosen.results.write_text(json.dumps([asdict(one) for one in found], indent=1))
    print(table(found))


def suffer(stream: Stream, data: Path, folder: Path, *, loop: str, seed: int) -> Suffered:
    """Cut the stream into `folder`, spoil its labels unless it stays as it is, and let the loop work through it."""
    pieces = cut(stream, data, folder, delay=1)
    starts = [pieces.pieces.batches * third // 3 for third in (1, 2)]
    wrong = {f"batch-{k + 1:04d}" for start in starts for k in range(start, start + EPISODE)}
    if loop != AS_IS:
        deal_out(pieces, wrong, np.random.default_rng(seed))
    played = play(pieces, folder / "project", loop=loop, delay=1, changes=CHANGES[loop])
    events = journal(folder / "project" / "config", stream.name)
    held = {event["batch"] for event in events if event["event"] == "labels_held"}
    return Suffered(
        stream=stream.name,
        loop=loop,
        mean=played.mean,
        after=tuple(float(np.mean(played.metric[start + EPISODE :][:AFTER])) for start in starts),
        attempts=played.attempts,
        held=len(held),
        rightly=len(held & wrong),
        released=sum(event["event"] == "labels_released" for event in events),
    )


def deal_out(pieces: Cut, batches: set[str], rng: np.random.Generator) -> None:
    """Give the rows of these batches each other's labels."""
    label = pieces.stream.label["name"]
    for batch in sorted(batches):
        file = Path(pieces.pieces.labels).parent / f"{batch}.parquet"
        rows = pq.read_table(file)
        dealt = rows[label].take(pa.array(rng.permutation(rows.num_rows)))
        pq.write_table(rows.set_column(rows.schema.get_field_index(label), label, dealt), file)


def table(found: list[Suffered]) -> str:
    """Markdown: a row per stream and loop; in brackets the change against the stream as it is."""
    lines = [
        "| stream, metric | loop | after the first episode | after the second | held, of those wrong | attempts |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for one in found:
        before = next((other for other in found if (other.stream, other.loop) == (one.stream, AS_IS)), None)
        cells = " | ".join(_cells(one, before))
        head = f"| {one.stream}, {STREAMS[one.stream].metric} | {one.loop}"
        lines.append(f"{head} | {cells} | {one.held}, {one.rightly} | {one.attempts} |")
    return "\n".join(lines)


def _cells(one: Suffered, before: Suffered | None) -> Iterator[str]:
    for k, value in enumerate(one.after):
        change = "" if before is None or before is one else f" ({value / before.after[k] - 1:+.1%})"
        yield f"{value:.3g}{change}"


if __name__ == "__main__":
    main()
