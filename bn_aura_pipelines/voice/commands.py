"""`bn-aura voice …`: corrections by people, and the dead letter."""

from __future__ import annotations

from uuid import UUID

import click

from bn_aura_pipelines.database.opening import open_migrated
from bn_aura_pipelines.voice.keeping import correct as correct_analysis
from bn_aura_pipelines.voice.model import CLASSES
from bn_aura_pipelines.voice.provided import retry as retry_dead


@click.group()
def voice() -> None:
    """Correct what was found in a conversation, and ask again about those that were given up."""


@voice.command()
@click.argument("conversation", type=click.UUID)
@click.argument("sentiment", type=click.Choice(CLASSES))
def correct(conversation: UUID, sentiment: str) -> None:
    """Say what a CONVERSATION really is: shown at once, and learnt from by the next sentiment model."""
    with open_migrated().begin() as connection:
        correct_analysis(connection, conversation, sentiment)
    click.echo(f"{conversation} is {sentiment}")


@voice.command()
def retry() -> None:
    """Give the conversations that a provider was asked about in vain another chance at the next run."""
    with open_migrated().begin() as connection:
        click.echo(f"{retry_dead(connection):,} conversations will be asked about again")
