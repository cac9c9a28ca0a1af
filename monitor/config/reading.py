"""From files to values, with errors that name the file, the key and the nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from monitor.config.deployment import Deployment
from monitor.config.settings import Settings
from monitor.errors import ConfigError

_T = TypeVar("_T", bound=BaseModel)


def load_settings(folder: Path) -> Settings:
    """Read `folder/monitor.yaml`; a missing file means the defaults, a missing folder is a ConfigError."""
    _check_folder(folder)
    file = folder / "monitor.yaml"
    plain = _read(file) if file.exists() else {}
    return _parse(Settings, {**plain, "project": folder.resolve().parent}, file)


def load_deployment(file: Path) -> Deployment:
    """Read one deployment; raises ConfigError with path, key and nearest key."""
    deployment = _parse(Deployment, _read(file), file)
    if deployment.name != file.stem:
        raise ConfigError(f"{file}: name is {deployment.name!r}, the file says {file.stem!r}; make them equal")
    try:
        deployment.schema_value  # noqa: B018 - roles are checked by the domain's own constructor
    except ConfigError as exc:
        raise ConfigError(f"{file}: {exc}") from None
    return deployment


def deployment_names(folder: Path) -> tuple[str, ...]:
    """Of all `folder/deployments/*.yaml`, whatever is in them; a missing folder is a ConfigError."""
    _check_folder(folder)
    return tuple(sorted(file.stem for file in (folder / "deployments").glob("*.yaml")))


def load_deployments(folder: Path, names: Iterable[str] | None = None) -> dict[str, Deployment]:
    """Read the deployments of these names, by default all; what is wrong with the others does not matter.

    Raises ConfigError with the errors of every file that was read, and for a name without a file.
    """
    found: dict[str, Deployment] = {}
    errors: list[str] = []
    for name in deployment_names(folder) if names is None else names:
        try:
            found[name] = load_deployment(folder / "deployments" / f"{name}.yaml")
        except ConfigError as exc:
            errors.append(str(exc))
    if errors:
        raise ConfigError("\n".join(errors))
    return found


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such configuration folder; `monitor init` writes one")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file}: cannot be read: {exc}") from exc
    try:
        plain = yaml.safe_load(text)
    except Exception as exc:  # it lets through what its parts raise: for a day that does not exist, for deep nesting
        raise ConfigError(f"{file}: not YAML: {exc}") from exc
    if not isinstance(plain, dict):
        raise ConfigError(f"{file}: expected keys and values, found {type(plain).__name__}")
    return plain


def _parse(kind: type[_T], plain: Mapping[str, Any], file: Path) -> _T:
    try:
        return kind.model_validate(plain)
    except ValidationError as exc:
        lines = [_explain(kind, dict(error)) for error in exc.errors()]
        raise ConfigError("\n".join(f"{file}: {line}" for line in lines)) from None


def _explain(kind: type[BaseModel], error: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = list(_keys(kind, error["loc"][:-1]))
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {path!r}; {hint}"
    if error["type"] == "missing":
        return f"missing key {path!r}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _keys(kind: type[BaseModel], path: tuple[Any, ...]) -> Iterator[str]:
    """Names of the keys of the section at `path`, as written in the file."""
    for part in path:
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                kind = next(c for c in _classes(field.annotation) if issubclass(c, BaseModel))
    yield from (field.alias or name for name, field in kind.model_fields.items())


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _classes(inner)
