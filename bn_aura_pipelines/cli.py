"""The command `bn-aura`: parses, calls, prints. What it calls lives in the domains."""

from __future__ import annotations

import csv
import logging
import sys

import click
import sqlalchemy
from sqlalchemy import exc

from bn_aura_pipelines.database.connections import Database, open_database
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import get_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """The intelligence of the BN-Aura clinic CRM: embeddings, models, marts and triggers over one PostgreSQL."""


def open_migrated() -> Database:
    """The configured database with every migration applied."""
    database = open_database(get_settings())
    migrate(database)
    return database


@cli.command()
@click.argument("statement")
def sql(statement: str) -> None:
    """Run one query and print CSV."""
    with open_database(get_settings()).begin() as connection:
        result = connection.execute(sqlalchemy.text(statement.replace(":", "\\:")))
        if not result.returns_rows:
            return
        writer = csv.writer(sys.stdout)
        writer.writerow(result.keys())
        writer.writerows(result)


def main() -> None:
    """Entry point: one clear line and a non-zero exit on failure."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except exc.DBAPIError as error:
        click.echo(f"error: {str(error.orig).strip().splitlines()[0]}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
