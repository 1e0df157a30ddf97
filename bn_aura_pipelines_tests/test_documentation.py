"""Every command, setting, relation and column of a mart is documented where a reader looks for it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import click
import pytest

from bn_aura_pipelines.cli import cli
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.doctor import environment_name
from bn_aura_pipelines.settings import PROJECT_ROOT, Settings
from bn_aura_pipelines_tests.table_docs import TABLES_PAGE, UNCOMMENTED, build_everything, describe_tables


def commands(group: click.Group, path: str = "bn-aura") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(cli))
SETTINGS = {environment_name(name, field): field for name, field in Settings.model_fields.items()}
README = (PROJECT_ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_have_help_and_the_readme_names_it(name: str) -> None:
    command = COMMANDS[name]
    assert (command.help or "").strip(), f"{name} has no help text"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert (parameter.help or "").strip(), f"{name} {parameter.opts[0]} has no help text"
    assert re.search(rf"{re.escape(name)}(?![\w-])", README), f"README.md does not name `{name}`"


def test_the_readme_names_no_command_that_does_not_exist() -> None:
    groups = {name.rsplit(" ", 1)[0] for name in COMMANDS}
    for words in re.findall(r"\bbn-aura ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", README):
        first, *rest = words.split()
        known = f"bn-aura {first}" in COMMANDS or (rest and f"bn-aura {first} {rest[0]}" in COMMANDS)
        assert known or f"bn-aura {first}" in groups, f"README.md names `bn-aura {words}`"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_described_and_named_in_the_readme_and_the_example(name: str) -> None:
    assert (SETTINGS[name].description or "").strip(), f"{name} has no description"
    word = re.compile(rf"\b{name}\b")
    assert word.search(README), f"README.md does not name {name}"
    assert word.search((PROJECT_ROOT / ".env.example").read_text("utf-8")), f".env.example does not name {name}"


def test_the_example_names_no_setting_that_does_not_exist() -> None:
    named = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (PROJECT_ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert set(named) <= SETTINGS.keys()


def test_every_relation_function_and_mart_column_has_a_comment(database: Database) -> None:
    build_everything(database)
    with database.begin() as connection:
        assert connection.execute(UNCOMMENTED).scalars().all() == []


def test_the_page_of_tables_is_up_to_date(database: Database) -> None:
    build_everything(database)
    with database.begin() as connection:
        page = describe_tables(connection)
    if os.environ.get("UPDATE_DOCS"):
        TABLES_PAGE.write_text(page, "utf-8")
    assert TABLES_PAGE.read_text("utf-8") == page, "docs/tables.md is out of date: run `make docs`"
