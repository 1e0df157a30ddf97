"""`bn-aura lead-history`: takes over a history of stages. What a history is belongs to `history`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("lead-history")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def lead_history(file: Path) -> None:
    """Take over a history of lead stages kept elsewhere: a CSV FILE with lead_id, stage and moment.

    It replaces what runs recorded of these leads; the same file again changes nothing. The next run uses it.
    """
    from bn_aura_pipelines.database.opening import open_migrated
    from bn_aura_pipelines.models.leads.history import import_history, read_changes
    from bn_aura_pipelines.settings import get_settings

    changes = read_changes(file)
    leads = len({change.lead_id for change in changes})
    with open_migrated(get_settings(), lambda line: click.echo(line, err=True)).begin() as connection:
        stays = import_history(connection, changes)
    click.echo(f"{len(changes):,} changes of {leads:,} leads read, {stays:,} stays stand")
    if stays < len(changes):
        click.echo("Left out: changes of unknown leads, changes in the future, and repetitions of a stage.")
