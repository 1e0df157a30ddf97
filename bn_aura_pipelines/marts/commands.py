"""`bn-aura bi-user …`."""

from __future__ import annotations

import click

from bn_aura_pipelines.database.opening import open_migrated


@click.group("bi-user")
def bi_user() -> None:
    """Database users for Superset, Metabase, Power BI: each sees the marts of its clinics."""


@bi_user.command()
@click.argument("name")
@click.option("--clinic", required=True, help="Code of the clinic that the user sees; again for a further one.")
def create(name: str, clinic: str) -> None:
    """Make the database user NAME, or give it another clinic, and print its new password. It is shown this once."""
    from bn_aura_pipelines.marts.bi_users import create_bi_user

    with open_migrated().begin() as connection:
        click.echo(f"password of {name} for {clinic}, shown this once: {create_bi_user(connection, name, clinic)}")


@bi_user.command()
@click.argument("name")
def remove(name: str) -> None:
    """End the login of the user NAME."""
    from bn_aura_pipelines.marts.bi_users import remove_bi_user

    with open_migrated().begin() as connection:
        remove_bi_user(connection, name)
    click.echo(f"{name} removed")
