"""False alarms per 500 clean batches, delays and attribution of the detector on generated streams.

python -m benchmarks.detection.simulate --seeds 30 --families base,heavy,own
"""

from __future__ import annotations

import argparse
import json
import sys
from time import perf_counter

import numpy as np

from benchmarks.detection.generator import BATCHES, DRIFTS, FAMILIES, REFERENCE_BATCHES, Drift, Family, World
from monitor.domain.verdict import Channel, Verdict
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.rule import FalseAlarmRate, Mode, WatchRule
from monitor.domain.watch.season import Season

_LONGEST = 150  # batches after the drift; what is not found by then counts as never
RATE = FalseAlarmRate(count=1, batches=365)


def run(family: Family, seed: int, mode: Mode, drifts: tuple[Drift, ...]) -> dict:
    world = World(family=family, seed=seed)
    rule = WatchRule(false_alarms=RATE, incidents=RATE, season=Season.WEEKDAY, mode=mode, min_effect=0.0)
    watch = ChannelWatch(Channel.INPUTS, Plan.of(world.streams(), rule))
    watch.warm_up(world.batch(t) for t in range(REFERENCE_BATCHES) if world.present[t])
    out: dict = {"alarms": [], "incidents": 0, "beyond": [False] * (BATCHES // 500), "batches": 0}
    for t in range(REFERENCE_BATCHES, REFERENCE_BATCHES + BATCHES):
        if t == DRIFTS[0].at:
            middle = watch.state()
        if not world.present[t]:
            continue
        verdict = watch.update(world.batch(t))
        out["batches"] += 1
        out["incidents"] += bool(verdict.incidents)
        out["beyond"][(t - REFERENCE_BATCHES) // 500] |= bool(verdict.beyond)
        if verdict.verdict is Verdict.DRIFT:
            out["alarms"].append((t, [f"{c.name}.{c.measure}" for c in verdict.columns]))
            watch.acknowledge()
    for drift in drifts:
        later = ChannelWatch.restore(Channel.INPUTS, Plan.of(world.streams(), rule), middle)
        out[drift.name] = _delay(world, later, drift)
    return out


def _delay(world: World, watch: ChannelWatch, drift: Drift) -> dict:
    """Batches until the alarm, whether it names exactly the shifted columns, and when the distance says `beyond`."""
    truth = {f"x{c}" for c in world.targets[: drift.columns]}
    came, delay, exact, beyond, stayed = 0, None, False, None, True
    for t in range(drift.at, drift.at + _LONGEST):
        if not world.present[t]:
            continue
        came += 1
        verdict = watch.update(world.batch(t, drift))
        if delay is None and verdict.verdict is Verdict.DRIFT:
            delay, exact = came, {c.name for c in verdict.columns} == truth
        far = {c.name for c in verdict.beyond} & truth
        if beyond is None and far:
            beyond = came
        stayed &= beyond is None or bool(far)
        if delay is not None and came >= (40 if drift.shift >= 0.5 and not drift.ramp else 0):
            break
    return {"delay": delay, "exact": exact, "beyond": beyond, "stayed": stayed}


def summarise(results: list[dict], drifts: tuple[Drift, ...]) -> dict:
    batches = sum(r["batches"] for r in results)
    alarms = sum(len(r["alarms"]) for r in results)
    row = {
        "false_alarms_per_500": round(alarms * 500 / batches, 3),
        "standard_error": round(np.sqrt(alarms + 0.25) * 500 / batches, 3),
        "incidents_per_500": round(sum(r["incidents"] for r in results) * 500 / batches, 3),
        "beyond_share": round(float(np.mean([b for r in results for b in r["beyond"]])), 3),
    }
    for drift in drifts:
        found = [r[drift.name] for r in results]
        delays = [f["delay"] or np.inf for f in found]
        row[drift.name] = {
            "median": float(np.median(delays)),
            "worst": float(max(delays)),
            "exact": round(float(np.mean([f["exact"] for f in found])), 3),
        }
        if drift.shift >= 0.5 and not drift.ramp:
            row[drift.name]["beyond_by"] = max(f["beyond"] or np.inf for f in found)
            row[drift.name]["stayed"] = round(float(np.mean([f["stayed"] for f in found])), 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0, help="others than the detector was tuned on")
    parser.add_argument("--families", default=",".join(f.name for f in FAMILIES))
    parser.add_argument("--mode", default="normal", choices=[m.value for m in Mode])
    parser.add_argument("--clean", action="store_true", help="only the clean streams")
    parser.add_argument("--verbose", action="store_true", help="list the false alarms")
    options = parser.parse_args()
    drifts = () if options.clean else DRIFTS
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    table = {}
    for family in [f for f in FAMILIES if f.name in options.families.split(",")]:
        begun = perf_counter()
        results = [run(family, seed, Mode(options.mode), drifts) for seed in seeds]
        table[family.name] = summarise(results, drifts)
        print(
            f"{family.name} ({perf_counter() - begun:.0f} s): {json.dumps(table[family.name], ensure_ascii=False)}",
            file=sys.stderr,
        )
        if options.verbose:
            for seed, result in zip(seeds, results, strict=True):
                for t, names in result["alarms"]:
                    print(f"  {family.name} seed {seed} batch {t}: {' '.join(names)}", file=sys.stderr)
    print(json.dumps(table, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
