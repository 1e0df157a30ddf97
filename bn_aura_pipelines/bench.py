"""`bn-aura bench …`: the benchmarks as commands. What they measure is in `bn_aura_pipelines_tests.benchmarks`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group()
def bench() -> None:
    """Measure models and speed in a scratch database that is dropped afterwards."""


@bench.command()
@click.option("--data", type=FOLDER, required=True, help="An export of real appointments, as `bn-aura import` reads.")
def churn(data: Path) -> None:
    """Train on an export and hold every churn candidate against the targets, on the same rows."""
    from bn_aura_pipelines_tests.benchmarks.churn import main

    sys.exit(0 if main(data, click.echo) else 1)
