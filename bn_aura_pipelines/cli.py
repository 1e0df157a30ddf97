"""The command `bn-aura`: parses, calls, prints. What it calls lives in the domains."""

from __future__ import annotations

import csv
import logging
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import sqlalchemy
from sqlalchemy import exc

from bn_aura_pipelines.api.commands import api_key
from bn_aura_pipelines.bench import bench
from bn_aura_pipelines.dashboard.commands import api
from bn_aura_pipelines.database.connections import Database, open_database
from bn_aura_pipelines.database.opening import open_migrated
from bn_aura_pipelines.embeddings.commands import embeddings, search
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.marts.commands import bi_user
from bn_aura_pipelines.models.commands import models
from bn_aura_pipelines.models.leads.commands import lead_history
from bn_aura_pipelines.settings import get_settings
from bn_aura_pipelines.triggers.commands import deliver, rules
from bn_aura_pipelines.voice.commands import voice

DEMO_CUSTOMERS = 2_000
DEMO_SEED = 20250101


class Moment(click.ParamType):
    """An aware moment, ISO 8601."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from bn_aura_pipelines.database.resource import parse_moment

        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment with a zone: write for example 2025-06-01T00:00:00+07:00.", param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """The intelligence of the BN-Aura clinic CRM: embeddings, models, marts and triggers over one PostgreSQL."""


cli.add_command(bench)
cli.add_command(models)
cli.add_command(lead_history)


def opened() -> Database:
    """The configured database, fit and migrated; what was applied is said on stderr."""
    return open_migrated(get_settings(), lambda line: click.echo(line, err=True))


@cli.command()
def demo() -> None:
    """The whole thing on a sample clinic: draw it, run the graph, print a summary. Data is kept."""
    from bn_aura_pipelines.running import run_graph
    from bn_aura_pipelines.sources.sample.generate import generate
    from bn_aura_pipelines.sources.sample.truth import existing_sample
    from bn_aura_pipelines.summary import print_summary

    database = opened()
    with database.begin() as connection:
        known = existing_sample(connection)
    as_of = known.as_of if known else _this_hour(database)
    customers, seed = (known.customers, known.seed) if known else (DEMO_CUSTOMERS, DEMO_SEED)
    generate(database, customers, as_of, seed, click.echo)
    report = run_graph(database, get_settings(), as_of, progress=click.echo)
    print_summary(database, as_of)
    click.echo(
        f"\n{report.assets} assets in {report.seconds:.0f} s. Next: `.venv/bin/bn-aura up`, or `bn-aura --help`."
    )


def _this_hour(database: Database) -> datetime:
    """The beginning of the current hour by the database's clock, a minute back: the sample's moment."""
    with database.begin() as connection:
        now = connection.execute(sqlalchemy.text("select date_trunc('hour', aura_ops.as_of())")).scalar_one()
    return now - timedelta(minutes=1)


@cli.command()
@click.option("--as-of", type=Moment(), help="The moment the run is about, ISO 8601 with a zone; by default now.")
@click.option("--select", help="Part of the graph, in Dagster's selection syntax, for example `churn_scores+`.")
def run(as_of: datetime | None, select: str | None) -> None:
    """Apply migrations, then materialize the graph, or part of it, in dependency order."""
    from bn_aura_pipelines.running import run_graph
    from bn_aura_pipelines.sources.check import require_sources

    database = opened()
    with database.begin() as connection:
        require_sources(connection)
    report = run_graph(database, get_settings(), as_of, select, click.echo)
    click.echo(f"{report.assets} assets in {report.seconds:.0f} s")


@cli.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
def import_(folder: Path) -> None:
    """Load an export (CSV, JSON Lines, Parquet; .gz) into the source tables. Bad rows go to quarantine.

    Exits with 1 when a file could not be loaded; loading the same files again changes nothing.
    """
    from bn_aura_pipelines.sources.importing import import_folder

    report = import_folder(opened(), folder, click.echo)
    click.echo(report.summary())
    sys.exit(1 if report.failed else 0)


@cli.command()
@click.option("--customers", type=int, default=DEMO_CUSTOMERS, show_default=True, help="How many to draw.")
@click.option("--as-of", type=Moment(), help="Where the history ends; by default the current hour.")
@click.option("--seed", type=int, default=DEMO_SEED, show_default=True, help="The same seed gives the same clinic.")
def sample(customers: int, as_of: datetime | None, seed: int) -> None:
    """Draw a synthetic clinic chain with a known truth into an empty database."""
    from bn_aura_pipelines.sources.sample.generate import generate
    from bn_aura_pipelines.sources.sample.truth import existing_sample

    database = opened()
    with database.begin() as connection:
        known = existing_sample(connection)
    moment = as_of or (known.as_of if known else _this_hour(database))
    report = generate(database, customers, moment, seed, click.echo)
    for table, rows in report.rows.items():
        click.echo(f"  {table:<24} {rows:>10,}")
    click.echo(f"as of {report.identity.as_of.isoformat()}, seed {report.identity.seed}, {report.seconds:.1f} s")


@cli.command()
@click.option("--port", type=int, default=3000, show_default=True, help="Where the Dagster UI listens.")
@click.option("--api-port", type=int, default=8000, show_default=True, help="Where dashboard and read API listen.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that both listen on.")
@click.option("--paused", is_flag=True, help="Start no schedule and no sensor; they can be started in the UI.")
def up(port: int, api_port: int, host: str, paused: bool) -> None:
    """Serve the Dagster UI with its daemon, and dashboard and read API, until interrupted.

    Schedules and sensors are started with it, except those that somebody has stopped in the UI.
    """
    from bn_aura_pipelines.orchestration.serving import serve

    sys.exit(serve(opened(), get_settings(), host, port, api_port, click.echo, paused=paused))


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def housekeeping(dry_run: bool) -> None:
    """Delete runs, messages, audits and quarantine that are past their time; say what PostgreSQL should tidy."""
    from bn_aura_pipelines.orchestration.instance import open_instance
    from bn_aura_pipelines.orchestration.ops import keep_house

    database = opened()
    with open_instance(database, get_settings()) as instance:
        found, advice = keep_house(database, get_settings(), instance, datetime.now(UTC), dry_run)
    for name, rows in found.items():
        click.echo(f"{'would go' if dry_run else 'gone'}  {name:<40} {rows:>10,}")
    for line in advice:
        click.echo(f"worth doing  {line}")


@cli.command()
def assets() -> None:
    """List the assets of the graph: name, group and what each is."""
    from bn_aura_pipelines.definitions import build_definitions

    for spec in sorted(build_definitions().resolve_all_asset_specs(), key=lambda spec: (spec.group_name, spec.key)):
        click.echo(f"{spec.group_name:<11} {spec.key.to_user_string():<30} {(spec.description or '').splitlines()[0]}")


@cli.command()
def doctor() -> None:
    """Say what is configured, reachable, stale or broken, each with its remedy. Exits with 1 on an error."""
    from bn_aura_pipelines.doctor import diagnose

    findings = diagnose(get_settings())
    marks = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
    for finding in findings:
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        click.echo(f"{marks[finding.status]}  {finding.area:<12} {finding.message}{remedy}")
    sys.exit(1 if any(finding.status == "error" for finding in findings) else 0)


@cli.command()
@click.argument("statement")
def sql(statement: str) -> None:
    """Run one query and print CSV."""
    with open_database(get_settings()).begin() as connection:
        result = connection.execute(sqlalchemy.text(statement.replace(":", "\\:")))
        if not result.returns_rows:
            return
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(result.keys())
        writer.writerows(result)


for command in (api, api_key, bi_user, embeddings, search, rules, deliver, voice):
    cli.add_command(command)


def main() -> None:
    """Entry point: one clear line and a non-zero exit on failure."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    # What Dagster calls beta and we use on purpose.
    warnings.filterwarnings("ignore", message="(Parameter|Function|Class) `")
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
