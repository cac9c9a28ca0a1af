"""The documentation cannot lag behind: keys, defaults, targets, commands and links are held to what they speak of."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from monitor.config.deployment import Deployment
from monitor.config.reading import load_deployment, load_deployments, load_settings
from monitor.config.settings import Settings

PROJECT = Path(__file__).parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
KEY_ROW = re.compile(r"^\| `([a-z_.0-9]+)` \| (`[^`]+`|required|none) \|", re.MULTILINE)
NOT_FOR_USERS = {"project"}  # filled in by the loader


def keys(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key as a user writes it, with its default as the documentation writes it."""
    for name, field in kind.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        part = next((c for c in _classes(field.annotation) if issubclass(c, BaseModel)), None)
        if part is not None:
            yield from keys(part, f"{path}.")
        elif path not in NOT_FOR_USERS:
            yield path, "required" if field.is_required() else written(field.default)


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _classes(inner)


def written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{duration(value)}`"
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    if isinstance(value, int) and value >= 1024**2:
        return f"`{size(value)}`"
    return f"`{value}`"


def size(count: int) -> str:
    unit, factor = next((u, f) for u, f in (("GiB", 1024**3), ("MiB", 1024**2), ("", 1)) if count % f == 0)
    return f"{count // factor}{unit}"


def duration(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    unit, size = next(
        ((u, n) for u, n in (("d", 86400), ("h", 3600), ("m", 60)) if seconds and seconds % n == 0), ("s", 1)
    )
    return f"{seconds // size}{unit}"


def test_every_key_is_documented_with_its_default():
    page = (PROJECT / "docs/reference/config.md").read_text(encoding="utf-8")
    documented = dict(KEY_ROW.findall(page))
    assert documented == dict([*keys(Settings), *keys(Deployment)])


def test_the_shipped_configuration_is_valid():
    assert load_settings(PROJECT / "config").data == Path("var")
    assert set(load_deployments(PROJECT / "config")) == {"digits", "electricity"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_no_page_knows_somebodys_machine(page):
    found = re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users|opt)/\S*", page.read_text(encoding="utf-8"))
    assert not found


def commands(text: str) -> Iterator[str]:
    """Lines of shell blocks and inline code that call make or monitor."""
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL):
        yield from (line.strip().removeprefix("$ ") for line in block.splitlines())
    yield from re.findall(r"`((?:make|monitor) [^`]+)`", text)


def test_every_make_target_that_is_named_exists():
    known = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        line.split()[1]
        for page in PAGES
        for line in commands(page.read_text(encoding="utf-8"))
        if re.match(r"make [a-z]", line)
    }
    assert {"run", "test"} <= named <= known


def test_every_command_that_is_named_exists():
    from typer.main import get_command

    from monitor.cli.main import app

    root = get_command(app)
    for page in PAGES:
        for line in commands(page.read_text(encoding="utf-8")):
            words = re.sub(r"^(\.venv/bin/)?", "", line).split()
            if (
                words[:1] != ["monitor"]
                or len(words) < 2
                or not re.fullmatch(r"[a-z-]+", words[1])
                or words[1][0] == "-"
            ):
                continue
            command = root.commands.get(words[1])
            assert command is not None, f"{page.name}: {line}"
            if hasattr(command, "commands"):
                assert words[2] in command.commands, f"{page.name}: {line}"
            options = {name for c in (root, command, *subcommands(command)) for p in c.params for name in p.opts}
            for option in re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", line):
                assert option in options | {"--help", "-h"}, f"{page.name}: {line}"


def subcommands(command: Any) -> list[Any]:
    return list(getattr(command, "commands", {}).values())


def test_yaml_in_the_pages_is_valid_configuration(tmp_path):
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
            plain = yaml.safe_load(block)
            if "name" in plain:
                folder = tmp_path / f"{page.stem}-{number}"
                folder.mkdir()
                (folder / f"{plain['name']}.yaml").write_text(block, encoding="utf-8")
                assert load_deployment(folder / f"{plain['name']}.yaml").name == plain["name"]


def test_make_help_lists_every_target():
    listed = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert set(re.findall(r"make ([a-z]+)", listed)) >= set(phony[1].split())
