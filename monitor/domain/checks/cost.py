"""What a candidate costs where it is served: seconds per row and bytes."""

from __future__ import annotations

from monitor.domain.gate import Check, Finding

NEGLIGIBLE_SECONDS = 1e-3  # per call: a difference that small is the machine's


def latency_holds(candidate: float, champion: float, ratio: float, *, rows: int) -> Check:
    """Seconds for `rows` rows, the shortest of several; fails above `ratio` times the champion's and 1 ms more."""
    limit = champion * ratio
    failed = candidate > limit and candidate - champion > NEGLIGIBLE_SECONDS
    return Check(
        name="latency",
        finding=Finding.FAILED if failed else Finding.PASSED,
        candidate=candidate,
        champion=champion,
        limit=limit,
        rows=rows,
        detail=f"{candidate * 1e3:.3g} ms for {rows} rows against the champion's {champion * 1e3:.3g} ms, "
        f"at most {ratio:g} times that",
    )


def size_holds(candidate: int, champion: int, ratio: float) -> Check:
    """Bytes of the saved model."""
    limit = champion * ratio
    return Check(
        name="size",
        finding=Finding.FAILED if candidate > limit else Finding.PASSED,
        candidate=candidate,
        champion=champion,
        limit=limit,
        detail=f"{candidate:,} bytes against the champion's {champion:,}, at most {ratio:g} times that",
    )
