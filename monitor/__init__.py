"""Driftloop: data-drift monitoring of deployed models. `Schema`, `Reference` and `Watch` work without a daemon."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor.domain.reference import Reference
    from monitor.domain.schema import Schema
    from monitor.domain.watch.watch import Watch

__all__ = ["Reference", "Schema", "Watch"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line does not wait for Arrow and SciPy."""
    if name == "Schema":
        from monitor.domain.schema import Schema

        return Schema
    if name == "Reference":
        from monitor.domain.reference import Reference

        return Reference
    if name == "Watch":
        from monitor.domain.watch.watch import Watch

        return Watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
