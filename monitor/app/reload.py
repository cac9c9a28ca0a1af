"""What another configuration means for a daemon that runs: which deployments begin, end and go on differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from monitor.config.deployment import Deployment
from monitor.config.settings import HttpConfig, Settings
from monitor.errors import ConfigError

_FIXED = ("data", "store", "log", "workers", "lease", "drain", "project")  # what is open, bound or begun by them stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All that is read from the configuration folder."""

    settings: Settings
    deployments: Mapping[str, Deployment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Names of deployments, and the keys of `monitor.yaml` whose values are new, such as `http.tokens`."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    settings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """How it went the last time; reading the configuration at the start is the first."""

    successful: bool
    last_success: datetime


def changes(old: Configuration, new: Configuration) -> Changes:
    """Raises ConfigError for what takes a restart, and for a configuration without deployments."""
    if not new.deployments:
        raise ConfigError("no deployments are configured; a daemon without any is stopped, not reloaded")
    _check_settings(old.settings, new.settings)
    both = [name for name in new.deployments if name in old.deployments]
    trusted = old.settings.trust == new.settings.trust
    same = [name for name in both if trusted and old.deployments[name] == new.deployments[name]]
    return Changes(
        added=tuple(name for name in new.deployments if name not in old.deployments),
        removed=tuple(name for name in old.deployments if name not in new.deployments),
        changed=tuple(name for name in both if name not in same),
        unchanged=tuple(same),
        settings=_changed_settings(old.settings, new.settings),
    )


def _changed_settings(old: Settings, new: Settings) -> tuple[str, ...]:
    sections = [key for key in Settings.model_fields if key != "http" and getattr(old, key) != getattr(new, key)]
    http = [f"http.{key}" for key in HttpConfig.model_fields if getattr(old.http, key) != getattr(new.http, key)]
    return (*sections, *http)


def _check_settings(old: Settings, new: Settings) -> None:
    fixed = [key for key in _FIXED if getattr(old, key) != getattr(new, key)]
    fixed += ["http.bind"] if old.http.bind != new.http.bind else []
    if fixed:
        keys = ", ".join(f"`{key}`" for key in fixed)
        raise ConfigError(f"monitor.yaml: {keys} cannot change while the daemon runs: restart it for that")
    if old.http.tokens and not new.http.tokens:
        raise ConfigError(
            "monitor.yaml: `http.tokens`: taking the last token away lets anybody in: restart it for that"
        )
