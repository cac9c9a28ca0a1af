"""`python -m benchmarks.loop ../shared/data`: the whole loop on recorded streams, beside other rules to retrain by.

One stream at a time; results are merged into the file of earlier runs, and the table shows all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loop.product import Played, play
from benchmarks.loop.rivals import RULES, Recorded, simulate
from benchmarks.loop.streams import NETWORK, NETWORK_PARAMS, STREAMS, Stream, cut
from benchmarks.speed import RESULTS

PRODUCT, FROZEN_NETWORK, WATCHED_NETWORK = "driftloop", "network, frozen", "network, driftloop"
OFF = {"retrain": {"mode": "off"}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the recorded streams")
    parser.add_argument("--streams", nargs="+", choices=list(STREAMS), default=list(STREAMS), metavar="STREAM")
    parser.add_argument("--delay", type=int, default=1, help="batches until labels come")
    parser.add_argument(
        "--loops",
        nargs="+",
        default=[PRODUCT, *RULES],
        metavar="LOOP",
        help=f"of {', '.join([PRODUCT, *RULES, FROZEN_NETWORK, WATCHED_NETWORK])}",
    )
    parser.add_argument("--set", default="{}", metavar="JSON", help="changes to the deployment, for trying something")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the projects there; else they are removed")
    parser.add_argument("--results", type=Path, default=RESULTS / "loop.json", metavar="FILE")
    chosen = parser.parse_args()
    for name in chosen.streams:
        with _folder(chosen.keep) as folder:
            for played in _loops(STREAMS[name], chosen, folder):
                _say(played)
                _merge(chosen.results, played)
    print(table(json.loads(chosen.results.read_text()), chosen.delay))


def _loops(stream: Stream, chosen: argparse.Namespace, folder: Path) -> Iterator[Played]:
    pieces = cut(stream, chosen.data, _made(folder / f"{stream.name}-{chosen.delay}"), delay=chosen.delay)
    changes = json.loads(chosen.set)
    network = {"model": {"code": str(NETWORK), "params": NETWORK_PARAMS}}
    changed = {
        PRODUCT: changes,
        FROZEN_NETWORK: {**changes, **network, **OFF},
        WATCHED_NETWORK: {**changes, **network},
    }
    recorded = None
    for loop in chosen.loops:
        if loop in changed:
            place = _made(folder / f"{stream.name}-{chosen.delay}" / loop.replace(", ", "-"))
            yield play(pieces, place, loop=loop, delay=chosen.delay, changes=changed[loop])
        else:
            recorded = recorded or Recorded.read(pieces)
            yield simulate(pieces, recorded, loop, RULES[loop](recorded), delay=chosen.delay)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="loop-") as made:
        yield Path(made)


def _say(played: Played) -> None:
    score = STREAMS[played.stream].score(played.mean)
    print(
        f"{played.stream}, delay {played.delay}, {played.loop}: {played.mean:.4f}, score {score:.2f}, "
        f"{played.attempts_per_100:.0f} attempts per 100 batches, {played.promoted} promoted, "
        f"{played.rolled_back} rolled back, {played.triggers}, {played.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def _merge(file: Path, played: Played) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(file.read_text()) if file.exists() else []
    key = (played.stream, played.loop, played.delay)
    known = [each for each in known if (each["stream"], each["loop"], each["delay"]) != key]
    file.write_text(json.dumps([*known, played.to_dict()], indent=1))


def table(results: list[dict[str, Any]], delay: int) -> str:
    """Markdown: a row per loop; per stream the mean metric, then mean score, worst score and attempts."""
    of_delay = [each for each in results if each["delay"] == delay]
    names = [name for name in STREAMS if any(each["stream"] == name for each in of_delay)]
    lines = [
        f"| loop | {' | '.join(names)} | mean score | worst | attempts per 100 batches |",
        f"|---|{'---:|' * (len(names) + 3)}",
    ]
    for loop in dict.fromkeys(each["loop"] for each in of_delay):
        found = {each["stream"]: each for each in of_delay if each["loop"] == loop}
        scores = [STREAMS[name].score(each["mean"]) for name, each in found.items()]
        rate = np.mean([100 * each["attempts"] / len(each["metric"]) for each in found.values()])
        cells = [_shown(name, found.get(name)) for name in names]
        lines.append(f"| {loop} | {' | '.join(cells)} | {np.mean(scores):.2f} | {min(scores):.2f} | {rate:.0f} |")
    marks = ("never", "accept", "good", "best")
    lines += [f"| *{m}* | {' | '.join(str(getattr(STREAMS[name], m)) for name in names)} | | | |" for m in marks]
    return "\n".join(lines)


def _shown(name: str, found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['mean']:.1f}" if STREAMS[name].metric == "mae" else f"{found['mean']:.3f}"


if __name__ == "__main__":
    main()
