"""Driftloop: data-drift monitoring of deployed models. `Schema` and `Reference` work without a daemon."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor.domain.reference import Reference
    from monitor.domain.schema import Schema

__all__ = ["Reference", "Schema"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line does not wait for Arrow and SciPy."""
    if name == "Schema":
        from monitor.domain.schema import Schema

        return Schema
    if name == "Reference":
        from monitor.domain.reference import Reference

        return Reference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
