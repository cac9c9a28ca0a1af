"""What every command is given: where the configuration is, how to speak, and the application on demand."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.app.ports import Log
    from monitor.bootstrap import Application
    from monitor.config.settings import LogConfig

_ENVIRONMENT = "MONITOR_CONFIG"
_DEFAULT = Path("config")


@dataclass(slots=True)
class Session:
    """One call of `monitor`. The options are accepted before and after the command; the later one counts."""

    config: Path | None = None
    json: bool = False
    debug: bool = False
    data_folder: Path | None = field(default=None, init=False)  # once known: where a crash is written down
    private: bool = field(default=False, init=False)  # once known: a crash must not quote rows

    @property
    def config_folder(self) -> Path:
        """`--config`, else the environment variable MONITOR_CONFIG, else `./config`."""
        if self.config is not None:
            return self.config
        return Path(os.environ.get(_ENVIRONMENT) or _DEFAULT)

    @property
    def deployments(self) -> tuple[str, ...]:
        """Names of all that are configured, known without reading them. Raises ConfigError without the folder."""
        from monitor.config.reading import deployment_names

        return deployment_names(self.config_folder)

    @contextmanager
    def application(self, names: Sequence[str] | None = None, *, talkative: bool = False) -> Iterator[Application]:
        """Open the application, with all deployments or those in `names`, and close it again.

        Nothing is read of others than `names`: one that is broken keeps nobody from working on the rest.

        Raises ConfigError, StoreError.
        `talkative` logs from the configured level on, as a daemon does; otherwise only warnings are shown.
        """
        from monitor.bootstrap import open_application
        from monitor.config.reading import load_settings

        settings = load_settings(self.config_folder)
        self.data_folder = settings.data_folder
        log = self._log(settings.log, talkative=talkative)
        app = open_application(self.config_folder, names=names, log=log)
        self.private = app.private
        try:
            yield app
        finally:
            app.close()

    def _log(self, config: LogConfig, *, talkative: bool) -> Log:
        from monitor.adapters.logging_setup import configure

        level = "debug" if self.debug else config.level
        if not talkative and not self.debug and level in ("debug", "info"):
            level = "warning"
        return configure(config.format, level)


def pick(known: Collection[str], name: str | None) -> str:
    """Return `name` when it is known, or the only known one when none is given; raises ConfigError otherwise."""
    if name is None:
        if len(known) == 1:
            return next(iter(known))
        if not known:
            raise ConfigError("no deployments are configured; `monitor init FILE` writes one")
        raise ConfigError(f"which deployment? known are {', '.join(sorted(known))}")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known)) or 'none'}"
        raise ConfigError(f"no deployment {name!r}; {hint}")
    return name


def pick_with(known: Collection[str], first: str, second: str | None) -> tuple[str, str]:
    """Read `[NAME] VALUE`: with one argument it is the value, and the only deployment is meant."""
    if second is None:
        return pick(known, None), first
    return pick(known, first), second


def names_or_all(known: Collection[str], name: str | None) -> list[str]:
    """The one asked for, or all in the order of their files; raises ConfigError when there are none."""
    if name is None and known:
        return list(known)
    return [pick(known, name)]
