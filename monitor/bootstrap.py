"""From configuration to a working application: the only place that chooses adapters."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from monitor.adapters.adwin import Adwin
from monitor.adapters.artefacts import FolderArtefacts
from monitor.adapters.atomic_files import remove_partial_files
from monitor.adapters.collected_data import ParquetCollectedData, stored_rows
from monitor.adapters.evidently_report import EvidentlyReporter
from monitor.adapters.expiry import FolderExpiry
from monitor.adapters.file_source import read_table
from monitor.adapters.free_memory import give_back_memory
from monitor.adapters.label_book import ParquetLabelBook
from monitor.adapters.logging_setup import get_logger
from monitor.adapters.process_identity import own_identity
from monitor.adapters.scheduler import WakeUps, trigger_of
from monitor.adapters.score_columns import ColumnScorer
from monitor.adapters.scoring_worker import ScoringWorker
from monitor.adapters.sources import SourceMaker
from monitor.adapters.store.sql_store import SqlStore
from monitor.adapters.trainer import ChildTrainer
from monitor.app import champion
from monitor.app.acknowledge import Acknowledged, acknowledge
from monitor.app.add_model import add_model
from monitor.app.advance import Listener, advance
from monitor.app.contract import check_deployed
from monitor.app.crashes import retrain_crashed
from monitor.app.daemon import Daemon, Stopping
from monitor.app.doubtful_labels import reject_labels, release_labels
from monitor.app.import_labels import import_labels
from monitor.app.known_classes import KnownClasses
from monitor.app.leases import Leases
from monitor.app.measures_of import measures_of
from monitor.app.ports import CollectedData, LabelBook, Log, Scorer, Store
from monitor.app.push import Push, Pushed
from monitor.app.reload import Changes, Configuration, Reloaded, changes
from monitor.app.report_batch import Report, report_batch
from monitor.app.reports import Reports
from monitor.app.retrain_model import Orders, retrain
from monitor.app.runtime import Runtime
from monitor.config.deployment import Deployment
from monitor.config.reading import deployment_names, load_deployments, load_settings
from monitor.config.settings import Settings
from monitor.domain.batch import DeliveryKind
from monitor.domain.label_trust import Doubt
from monitor.domain.model import Progress
from monitor.domain.policy import Trigger
from monitor.domain.record import BatchRecord
from monitor.domain.verdict import Channel
from monitor.domain.version import AliasMove, Manifest
from monitor.errors import ConfigError, MonitorError

_PATIENCE = timedelta(minutes=1)  # of a command with a pass that is at work
_PATIENCE_OF_HTTP = timedelta(seconds=2)  # who calls can call again; a thread that waits answers nobody else


def now_utc() -> datetime:
    return datetime.now(UTC)


class Application:
    """The whole of it: what the command line and the HTTP server work with. Close it when done."""

    def __init__(self, read: Callable[[], Configuration], open_store: Callable[[Settings], Store], log: Log) -> None:
        """`read` gives the configuration as it is now, here and at every `reload`."""
        self.patience = _PATIENCE
        self._read, found = read, read()
        settings = found.settings
        self.settings, self.deployments, self.log = settings, dict(found.deployments), log
        self.store = open_store(settings)
        self.reloaded, self._reloading = Reloaded(successful=True, last_success=now_utc()), threading.Lock()
        self._leases = Leases(self.store, owner=own_identity(), length=settings.lease, clock=now_utc, log=log)
        self._locks: dict[str, threading.Lock] = {}  # by deployment, also of those that have gone: they may come back
        made = {name: self._made(config, settings) for name, config in self.deployments.items()}
        self._runtimes = {name: runtime for name, (runtime, _) in made.items()}
        self._pushes = {name: push for name, (_, push) in made.items()}
        self._reports = Reports(self._runtimes.get)
        self._measuring = threading.Lock()
        self._at_attempt: set[str] = set()
        self._attempts = ThreadPoolExecutor(settings.workers, thread_name_prefix="attempts")
        self.daemon: Daemon | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def private(self) -> bool:
        """Whether any deployment has columns whose values nobody is to see."""
        return any(config.schema_.private for config in self.deployments.values())

    def runtime(self, name: str) -> Runtime:
        return self._runtimes[name]

    def once(self, names: Sequence[str] | None = None, listener: Listener | None = None) -> list[BatchRecord]:
        """One pass over what is waiting, then the reports it asked for. Raises what ends a pass, after the others'."""
        listener = self._reports.beside(listener or Listener(), awaited=True)
        records: list[BatchRecord] = []
        failed: MonitorError | None = None
        for name in names or self._runtimes:
            runtime = self._runtimes[name]
            try:
                with runtime.working():
                    records += advance(runtime, listener)
            except MonitorError as exc:  # the other deployments have nothing to do with it
                if failed is not None:  # the first one is raised
                    self.log.error("pass_failed", deployment=name, error=str(exc))
                failed = failed or exc
        self._reports.wait()
        if failed is not None:
            raise failed
        return records

    def run(
        self,
        serve: Callable[[Application], AbstractContextManager[str]],
        *,
        names: Sequence[str] | None = None,
        listener: Listener | None = None,
        hung_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """The daemon: blocks until SIGTERM or SIGINT. Deployments that another daemon works on are stood by for.

        `hung_up`: whether SIGHUP came before the daemon could hear it; the configuration is then read once more.

        Ends the process when a pass does not end before the drain's deadline: what it was at is done again at the
        next start, and user code that hangs must not keep the process from stopping.
        """
        runtimes = {name: self._runtimes[name] for name in names or self._runtimes}
        wake_ups = WakeUps(self.settings.workers)
        self.patience = _PATIENCE_OF_HTTP
        self.daemon = Daemon(
            runtimes,
            wake_ups,
            leases=self._leases,
            drain=self.settings.drain,
            reload=self._reload_quietly,
            tidy=give_back_memory,
            clock=now_utc,
            log=self.log,
        )
        gc.freeze()  # modules and configuration stay: looking through them took a tenth of a second each time
        listener = self._reports.beside(listener or Listener(), awaited=False)
        drained = self.daemon.run(listener, lambda: serve(self), hung_up=hung_up)
        self._attempts.shutdown(wait=False, cancel_futures=True)
        if not drained or self._at_attempt:
            os._exit(0)

    def reload(self) -> Changes:
        """Read the configuration again and go on with it; where any of it is wrong, with the old one, whole.

        A deployment that has changed goes on with what it has learnt; those that have not are not disturbed. Raises
        ConfigError, also for what takes a restart, and StoreError.
        """
        with self._reloading:
            try:
                changed = self._reload()
            except Exception as exc:
                self.reloaded = replace(self.reloaded, successful=False)
                self.log.error("config_reload_failed", error=str(exc))
                raise
            self.reloaded = Reloaded(successful=True, last_success=now_utc())
            self.log.info("config_reloaded", **changed.to_dict())
            return changed

    def _reload(self) -> Changes:
        found = self._read()
        seen = changes(Configuration(settings=self.settings, deployments=self.deployments), found)
        made = {name: self._made(found.deployments[name], found.settings) for name in (*seen.added, *seen.changed)}
        for name in made:
            check_deployed(self.store, found.deployments[name])
        self.settings = found.settings
        for name in (*seen.removed, *seen.changed):
            threading.Thread(target=self._runtimes[name].retire, name=f"retiring {name}", daemon=True).start()
        for name, (runtime, push) in made.items():
            self._runtimes[name], self._pushes[name] = runtime, push
            self.deployments[name] = found.deployments[name]
        for name in seen.removed:
            del self.deployments[name], self._runtimes[name], self._pushes[name]
        if self.daemon is not None:
            self.daemon.change(self._runtimes, seen)
        return seen

    def _reload_quietly(self) -> None:
        """For a signal, whose sender hears nothing: what went wrong was logged, and shows in the metrics."""
        with suppress(Exception):
            self.reload()

    def retrain(self, name: str, orders: Orders, progress: Progress) -> dict[str, Any]:
        """One attempt by hand, between two passes of the daemon; BusyError when it stays at work for too long."""
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return retrain(runtime, Trigger.OPERATOR, progress, orders).to_dict()

    def begin_retrain(self, name: str, *, dry_run: bool) -> Future[dict[str, Any]]:
        """The same beside the caller; given up when the daemon stops. What came of it is in the journal, too."""

        def progress(share: float, what: str) -> None:
            if self.daemon is not None and self.daemon.stopping:
                raise Stopping("the process is stopping")
            self.log.info("retrain_progress", deployment=name, share=round(share, 3), what=what)

        def attempt() -> dict[str, Any]:
            self._at_attempt.add(name)
            try:
                return self.retrain(name, Orders(mode="dry_run" if dry_run else None), progress)
            except MonitorError as exc:
                self.log.warning("retrain_given_up", deployment=name, error=str(exc))
                raise
            except Exception as exc:
                retrain_crashed(self._runtimes[name], exc, dry_run=dry_run)
                raise
            finally:
                self._at_attempt.discard(name)

        return self._attempts.submit(attempt)

    def push(self, name: str, kind: DeliveryKind, id_: str, suffix: str, content: bytes) -> Pushed:
        """Take in a batch or labels; they are worked on by the next pass."""
        return self._pushes[name].take(kind, id_, suffix, content, now=now_utc())

    def import_labels(self, name: str, file: Path, progress: Progress) -> dict[str, Any]:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return import_labels(runtime, file, progress)

    def add_model(self, name: str, weights: Path | None, *, code: Path | None, held_out: str | None) -> Manifest:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return add_model(runtime, weights, code=code, held_out=held_out)

    def promote(self, name: str, version: int, reason: str) -> AliasMove:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return champion.promote(runtime, version, reason)

    def rollback(self, name: str, reason: str) -> AliasMove:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return champion.rollback(runtime, reason)

    def acknowledge(self, name: str, channel: Channel | None, reason: str) -> tuple[Acknowledged, ...]:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return acknowledge(runtime, channel, reason)

    def release_labels(self, name: str, batches: Sequence[str], reason: str) -> tuple[Doubt, ...]:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return release_labels(runtime, batches, reason)

    def reject_labels(self, name: str, batches: Sequence[str], reason: str) -> tuple[Doubt, ...]:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return reject_labels(runtime, batches, reason)

    def measures(self, name: str, batch: str) -> list[Mapping[str, Any]] | None:
        """None when there is no such batch. One call at a time: a batch may be large."""
        with self._measuring:
            record = self.store.record(name, batch)
            return None if record is None else measures_of(self._runtimes[name], record)

    def report(self, name: str, batch: str) -> Report:
        runtime = self._runtimes[name]
        with runtime.working(self.patience):
            return report_batch(runtime, batch)

    def close(self) -> None:
        self._reports.close()
        for runtime in self._runtimes.values():
            runtime.scorer.close()
            runtime.beside.close()
        self.store.close()

    def _made(self, config: Deployment, settings: Settings) -> tuple[Runtime, Push]:
        trigger_of(config.schedule)  # a cron line that cannot be read is an error now, not at the first wake-up
        schema, data, project = config.schema_value, settings.data_folder, settings.project
        sources = SourceMaker(
            config=config,
            schema=schema,
            project=project,
            data=settings.data,
            ledger=lambda kind, after: self.store.entries(config.name, kind, after=after),
            classes=KnownClasses(self.store, config.name),
            clock=now_utc,
        ).make()
        push = Push(deployment=config.name, store=self.store, inboxes=sources.inboxes, log=self.log)
        worker, beside = (
            ScoringWorker(timeout=config.model.timeout, schema=schema, trust=settings.trust) for _ in range(2)
        )
        scorer: Scorer = ColumnScorer(schema) if config.model.code is None else worker

        def open_data() -> tuple[CollectedData, LabelBook]:
            folder = data / "collected" / config.name
            remove_partial_files(folder)
            collected = ParquetCollectedData(folder)
            delay = config.labels.delay if config.labels else timedelta(0)
            return collected, ParquetLabelBook(folder / "labels", collected, delay=delay)

        runtime = Runtime(
            config=config,
            settings=settings,
            schema=schema,
            store=self.store,
            batches=sources.batches,
            labels=sources.labels,
            open_labels=sources.labels_in,
            read_labelled=partial(_labelled_rows, config, settings, self.log),
            open_data=open_data,
            stored_rows=partial(stored_rows, data / "collected" / config.name),
            artefacts=FolderArtefacts(data / "models" / config.name),
            scorer=scorer,
            beside=beside,
            trainer=ChildTrainer(),
            error_rate=Adwin() if config.detect.error_rate == "adwin" else None,
            expiry=FolderExpiry(data, config.name),
            reporter=EvidentlyReporter(timeout=config.reports.timeout),
            clock=now_utc,
            log=self.log,
            leases=self._leases,
            at_work=self._locks.setdefault(config.name, threading.Lock()),
        )
        return runtime, push


def _labelled_rows(config: Deployment, settings: Settings, log: Log, path: str, key: str) -> pa.Table:
    """Those of a file that can be used; the others are told of."""
    place = path if "://" in path else settings.path(path)
    validated = read_table(place, key, config.schema_value, require_label=True)
    if refused := validated.rejected.num_rows:
        first = validated.rejected.drop_columns(["content"]).slice(0, 1).to_pylist()[0]
        log.warning("training_rows_rejected", deployment=config.name, path=path, rows=refused, **first)
    return validated.rows


def open_application(config_folder: Path, *, names: Sequence[str] | None = None, log: Log | None = None) -> Application:
    """Read the configuration and open the store; others than `names` are as if they were not there, and not read.

    Raises ConfigError, StoreError.
    """

    def read() -> Configuration:
        settings, known = load_settings(config_folder), deployment_names(config_folder)
        for name in names or ():
            if name not in known:
                raise ConfigError(f"no deployment {name!r}; known are {', '.join(known) or 'none'}")
        return Configuration(settings=settings, deployments=load_deployments(config_folder, names or None))

    def open_store(settings: Settings) -> Store:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
        return SqlStore(settings.store_url)

    return Application(read, open_store, log or get_logger())
