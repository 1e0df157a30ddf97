"""`bn-aura models …`: what stands in the registry, and which version scores. It trains nothing."""

from __future__ import annotations

import click
import sqlalchemy

VERSIONS = sqlalchemy.text(
    """
    select
        model, version, coalesce(alias, '') as alias, kind, n_train, n_test,
        coalesce(to_char(window_end at time zone 'Asia/Bangkok', 'YYYY-MM-DD'), '') as knows_until, decision
    from aura_models.registry
    order by model, version desc
    """
)


@click.group()
def models() -> None:
    """Show trained models and choose which version scores."""


@models.command("list")
def list_() -> None:
    """List every version: what it is, how much it saw, why it was promoted or not."""
    from bn_aura_pipelines.database.connections import open_database
    from bn_aura_pipelines.settings import get_settings

    with open_database(get_settings()).begin() as connection:
        rows = connection.execute(VERSIONS).all()
    for row in rows:
        click.echo(
            f"{row.model:<10} {row.version:>3}  {row.alias:<10} {row.kind:<22} {row.n_train:>9,} rows"
            f"  until {row.knows_until:<10}  {row.decision}"
        )
    if not rows:
        click.echo("No model has been trained yet: `bn-aura run` trains them.")


@models.command()
@click.argument("model")
@click.argument("version", type=int)
def promote(model: str, version: int) -> None:
    """Let VERSION of MODEL score from the next run on; an earlier version rolls back."""
    from bn_aura_pipelines.database.connections import open_database
    from bn_aura_pipelines.models import registry
    from bn_aura_pipelines.settings import get_settings

    with open_database(get_settings()).begin() as connection:
        before = registry.promote(connection, model, version)
    instead = f" instead of version {before}" if before and before != version else ""
    click.echo(f"version {version} of {model} scores{instead} from the next run on")
