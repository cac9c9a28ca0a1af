"""`docs/reference/cli.md` and the commands are held to each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from monitor.cli.main import app
from monitor.errors import ConfigError, ModelError, UnreachableError

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
SHARED = {"--config", "--json", "--debug", "--help"}


def commands(group: Any, words: tuple[str, ...] = ("monitor",)) -> Iterator[tuple[str, Any]]:
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from commands(found, (*words, name))
        else:
            yield " ".join((*words, name)), found


def sections() -> dict[str, str]:
    parts = re.split(r"^### `(monitor [a-z -]+)`.*$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_a_section_and_every_section_a_command():
    assert set(sections()) == {name for name, _ in commands(typer.main.get_command(app))}


def test_every_section_names_the_command_s_own_options_and_no_others():
    for name, found in commands(typer.main.get_command(app)):
        own = {opt for param in found.params for opt in param.opts if opt.startswith("--")} - SHARED
        assert set(re.findall(r"`(--[a-z-]+)", sections()[name])) - SHARED == own, name


def test_the_exit_codes_are_those_of_the_errors():
    table = dict(re.findall(r"^\| (\d+) \| (.*?) \|", PAGE, re.MULTILINE))
    assert set(table) == {"0", "1", "2", "3", "4", "5", "70"}
    assert "configuration" in table[str(ConfigError.exit_code)]
    assert "reach" in table[str(UnreachableError.exit_code)]
    assert "model" in table[str(ModelError.exit_code)].lower()
