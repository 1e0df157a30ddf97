"""`bn-aura search` and `bn-aura embeddings …`."""

from __future__ import annotations

from typing import get_args

import click
import sqlalchemy

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.database.opening import open_migrated
from bn_aura_pipelines.embeddings import bulk as batches
from bn_aura_pipelines.embeddings import ledger, models
from bn_aura_pipelines.embeddings.choice import make_provider
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.providers import ENTITIES, Entity
from bn_aura_pipelines.embeddings.search import Mode, active_model
from bn_aura_pipelines.embeddings.search import search as search_rows
from bn_aura_pipelines.settings import get_settings

AS_OF = sqlalchemy.text("select aura_ops.as_of()")


@click.command()
@click.argument("query")
@click.option("--clinic", required=True, help="Code or id of the clinic; nothing of another is ever found.")
@click.option("--mode", type=click.Choice(get_args(Mode)), default="hybrid", show_default=True, help="How to search.")
@click.option(
    "--entity", type=click.Choice(ENTITIES), default="conversation", show_default=True, help="What to search."
)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Most rows to show.")
def search(query: str, clinic: str, mode: Mode, entity: Entity, limit: int) -> None:
    """Find a clinic's conversations, leads or customers by meaning, by spelling, or by both."""
    database = open_migrated()
    with database.begin() as connection:
        provider = make_provider(get_settings(), active_model(psycopg_connection(connection)))
        hits = search_rows(connection, clinic, query, provider, mode=mode, entity=entity, limit=limit)
    for place, hit in enumerate(hits, 1):
        similarity = f"{hit.similarity:.2f}" if hit.similarity is not None else "   -"
        click.echo(f"{place:>3}  {hit.score:.4f}  {similarity}  {hit.entity_id}  {hit.snippet}")
    if not hits:
        click.echo("nothing found")


@click.group()
def embeddings() -> None:
    """Which models have vectors, what a fill would cost, switching, and dead letters."""


@embeddings.command()
def status() -> None:
    """Say for each model and entity how many rows are done, waiting or dead."""
    with open_migrated().begin() as connection:
        rows = models.coverage(connection)
    click.echo(f"{'model':<24} {'':<7} {'entity':<13} {'done':>9} {'waiting':>9} {'dead':>6}")
    for row in rows:
        active = "active" if row.active else ""
        click.echo(f"{row.model:<24} {active:<7} {row.entity:<13} {row.done:>9,} {row.waiting:>9,} {row.dead:>6,}")


@embeddings.command()
@click.option("--model", help="The model to estimate for; by default the one in the settings.")
def estimate(model: str | None) -> None:
    """Say rows, tokens, price and hours of the next sync, before anything is sent."""
    database = open_migrated()
    with database.begin() as connection:
        moment = connection.execute(AS_OF).scalar_one()
    provider = make_provider(get_settings(), model)
    for row in models.estimate(database, moment, provider):
        click.echo(
            f"{provider.model:<24} {row.entity:<13} {row.rows:>9,} rows {row.tokens:>12,} tokens"
            f"  {row.cost_usd:>9.2f} USD  {row.hours:>6.2f} h"
        )


@embeddings.command()
@click.option("--model", help="The Gemini model to fill; by default the one in the settings.")
@click.option("--entity", type=click.Choice(ENTITIES), multiple=True, help="Only rows of this kind; may be repeated.")
@click.option("--yes", is_flag=True, help="Do not ask before texts are sent.")
@click.option("--no-wait", is_flag=True, help="Hand over and end; the same command takes the answers over later.")
def bulk(model: str | None, entity: tuple[Entity, ...], yes: bool, no_wait: bool) -> None:
    """Fill a model through Gemini's batch service: half the price, within a day.

    Says first what it would cost. May be stopped at any moment and run again: what was handed over is not handed over
    twice. The next sync puts the vectors in place without asking for any.
    """
    database = open_migrated()
    with database.begin() as connection:
        moment = connection.execute(AS_OF).scalar_one()
    provider = make_provider(get_settings(), model)
    if not isinstance(provider, GeminiEmbedder):
        raise batches.BulkRefused(f"{provider.model} has no batch service: name a Gemini model with --model.")
    entities = entity or ENTITIES
    for row in models.estimate(database, moment, provider, entities):
        cost = row.tokens * provider.bulk_usd_per_million_tokens / 1e6
        click.echo(
            f"{provider.model:<24} {row.entity:<13} {row.rows:>9,} rows {row.tokens:>12,} tokens {cost:>9.2f} USD"
        )
    if not yes:
        click.confirm("Hand these over, less what is on its way or known already?", abort=True)
    report = batches.bulk(database, moment, provider, entities, wait=not no_wait, progress=click.echo)
    click.echo(
        f"{report.texts:,} texts handed over in {report.jobs:,} jobs, {report.vectors:,} vectors came,"
        f" {report.failed:,} jobs failed, {report.open:,} are open"
    )
    if report.stopped:
        raise batches.BulkRefused(f"Stopped early: {report.stopped}.")
    if report.open:
        click.echo("Run the same command again to take over what they answer.")


@embeddings.command()
@click.argument("model")
def switch(model: str) -> None:
    """Let readers use MODEL from now on; refused until its vectors are complete."""
    written = models.switch(open_migrated(), model, write_application_columns=get_settings().write_application_columns)
    click.echo(f"{model} is active; {written:,} rows of the application's columns follow it")


@embeddings.command()
@click.option("--entity", type=click.Choice(ENTITIES), help="Only rows of this kind.")
def retry(entity: Entity | None) -> None:
    """Give the rows that were given up another chance at the next sync."""
    with open_migrated().begin() as connection:
        click.echo(f"{ledger.retry(connection, entity):,} rows will be tried again")
