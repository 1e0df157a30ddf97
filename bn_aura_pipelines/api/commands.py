"""`bn-aura api-key …`."""

from __future__ import annotations

import click

from bn_aura_pipelines.api.keys import SCOPES
from bn_aura_pipelines.database.opening import open_migrated


@click.group("api-key")
def api_key() -> None:
    """Keys of the read API, each for one clinic."""


@api_key.command()
@click.option("--clinic", required=True, help="Code of the clinic that the key sees.")
@click.option("--days", type=click.IntRange(min=1), help="How long the key holds; by default until it is revoked.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="personal: names, e-mails and phones are shown; they are masked otherwise.",
)
def create(clinic: str, days: int | None, scopes: tuple[str, ...]) -> None:
    """Print a new key. It is shown this once."""
    from bn_aura_pipelines.api.keys import create_key

    with open_migrated().begin() as connection:
        click.echo(f"key for {clinic}, shown this once: {create_key(connection, clinic, days, scopes)}")


@api_key.command("list")
def list_() -> None:
    """List the keys by their first characters."""
    from bn_aura_pipelines.api.keys import list_keys

    with open_migrated().begin() as connection:
        for key in list_keys(connection):
            state = "revoked" if key.revoked_at else f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "holds"
            click.echo(
                f"{key.prefix}…  {key.clinic_code or 'no such clinic':<20} {key.created_at:%Y-%m-%d}  {state}"
                f"  {' '.join(key.scopes)}".rstrip()
            )


@api_key.command()
@click.argument("prefix")
def revoke(prefix: str) -> None:
    """Revoke the key that begins with PREFIX, as `list` shows it."""
    from bn_aura_pipelines.api.keys import revoke_key

    with open_migrated().begin() as connection:
        click.echo(f"{revoke_key(connection, prefix)} revoked")
