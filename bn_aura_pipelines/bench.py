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


@bench.command()
@click.option("--data", type=FOLDER, required=True, help="An export of real appointments, as `bn-aura import` reads.")
def lifetime(data: Path) -> None:
    """Hold lifetime values against the revenue of held-out months, beside the mean and everybody's own rate."""
    from bn_aura_pipelines_tests.benchmarks.lifetime import main

    sys.exit(0 if main(data, click.echo) else 1)


@bench.command()
@click.option("--data", type=FOLDER, required=True, help="An export of real leads, as `bn-aura import` reads.")
@click.option("--many", type=int, default=0, help="Also score this many leads, copies of the export's, for speed.")
def leads(data: Path, many: int) -> None:
    """Hold every lead candidate against the latest fifth of decided leads; the learning curve; the speed."""
    from bn_aura_pipelines_tests.benchmarks.leads import main

    sys.exit(0 if main(data, many, click.echo) else 1)


@bench.command()
@click.option("--customers", type=int, default=2_000, show_default=True, help="How many to draw, and as many leads.")
def forecast(customers: int) -> None:
    """Hold the pipeline forecast of a sample clinic against what came, and plant two leaks for the guard."""
    from bn_aura_pipelines_tests.benchmarks.forecast import main

    sys.exit(0 if main(customers, click.echo) else 1)


@bench.command()
@click.option("--data", type=FOLDER, required=True, help="An export of real conversations with truth_sentiment.csv.")
def voice(data: Path) -> None:
    """Train the local sentiment model on an export's labels and measure it on the labels that were left out."""
    from bn_aura_pipelines_tests.benchmarks.voice import main

    sys.exit(0 if main(data, click.echo) else 1)


@bench.command("sample-voice")
@click.option("--customers", type=int, default=2_000, show_default=True, help="How many customers to draw.")
def sample_voice(customers: int) -> None:
    """Hold the sentiment found in a sample clinic's conversations against the planted one."""
    from bn_aura_pipelines_tests.benchmarks.sample_voice import main

    sys.exit(0 if main(customers, click.echo) else 1)


@bench.command()
@click.option("--rows", type=int, default=20_000, show_default=True, help="Rows beside a bare loop.")
@click.option("--many", type=int, default=200_000, show_default=True, help="Rows of the large database.")
def embeddings(rows: int, many: int) -> None:
    """Hold the embedding sync against a bare loop, and measure what changes cost."""
    from bn_aura_pipelines_tests.benchmarks.embeddings import main

    sys.exit(0 if main(rows, many, click.echo) else 1)


@bench.command()
@click.option("--leads", type=int, default=1_000_000, show_default=True, help="Leads of all twenty clinics.")
@click.option("--customers", type=int, default=200_000, show_default=True, help="Customers of all twenty clinics.")
@click.option("--conversations", type=int, default=200_000, show_default=True, help="To search in; 0: no search.")
@click.option("--seconds", type=int, default=10, show_default=True, help="Of each measurement; there are three a kind.")
@click.option("--soak-minutes", type=float, default=10, show_default=True, help="Of load to watch the memory; 0: none.")
def api(leads: int, customers: int, conversations: int, seconds: int, soak_minutes: float) -> None:
    """Hold the read API against pgbench with the same statements; its search; its memory under load."""
    from bn_aura_pipelines_tests.benchmarks.api import main

    sys.exit(0 if main(leads, customers, conversations, seconds, soak_minutes, click.echo) else 1)


@bench.command()
@click.option("--rows", type=int, default=200_000, show_default=True, help="Conversations, of 200 clinics.")
@click.option("--customers", type=int, default=3_000, show_default=True, help="Of the sample with known answers.")
def search(rows: int, customers: int) -> None:
    """Time the search within clinics of every size, and hold it against all neighbours and known answers."""
    from bn_aura_pipelines_tests.benchmarks.embedding_search import main

    sys.exit(0 if main(rows, customers, click.echo) else 1)


@bench.command("recommend")
@click.option("--data", type=FOLDER, required=True, help="An export of real appointments, as `bn-aura import` reads.")
@click.option("--sample", type=int, default=0, help="Also a sample clinic of this many customers, beside its laws.")
@click.option("--many", type=int, default=0, help="Also time so many customers with 300 treatments.")
def recommend(data: Path, sample: int, many: int) -> None:
    """Hold every way to recommend treatments against 90 held-out days; rebooking and actions against known laws."""
    from bn_aura_pipelines_tests.benchmarks.recommend import main

    sys.exit(0 if main(data, sample, many, click.echo) else 1)


@bench.command("sample-gate")
@click.option("--customers", type=int, default=6_000, show_default=True, help="How many customers to draw.")
def sample_gate(customers: int) -> None:
    """Hold the churn model of a sample clinic against the best score its laws allow, and plant a leak."""
    from bn_aura_pipelines_tests.benchmarks.sample_gate import main

    sys.exit(0 if main(customers, click.echo) else 1)


@bench.command()
@click.option("--customers", type=int, multiple=True, help="A size to measure; may be given several times.")
def features(customers: tuple[int, ...]) -> None:
    """Time features, training and scoring of sample clinics, by default of 10,000 and 100,000 customers."""
    from bn_aura_pipelines_tests.benchmarks.features import SIZES, main

    sys.exit(0 if main(sorted(customers) or SIZES, click.echo) else 1)


@bench.command()
@click.option("--customers", type=int, default=2_000, show_default=True, help="How many the sample clinics have.")
@click.option("--leads", type=int, default=1_000_000, show_default=True, help="Leads behind the first views.")
@click.option("--pictures", type=click.Path(path_type=Path), help="A folder for a picture of every look.")
def dashboard(customers: int, leads: int, pictures: Path | None) -> None:
    """Look at every view in every way with axe, time first views, toasts and presence."""
    from bn_aura_pipelines_tests.benchmarks.dashboard import main

    sys.exit(0 if main(customers, leads, pictures, click.echo) else 1)


@bench.command()
@click.option("--customers", type=int, default=100_000, show_default=True, help="Ten visits and ten talks for each.")
def marts(customers: int) -> None:
    """Time and memory of a full build of all marts, and of a refresh after one customer in a hundred changed."""
    from bn_aura_pipelines_tests.benchmarks.marts import main

    sys.exit(0 if main(customers, click.echo) else 1)


@bench.command()
@click.option("--customers", type=int, default=10_000, show_default=True, help="How many the sample clinics have.")
@click.option(
    "--minutes", type=float, default=3, show_default=True, help="To watch the event log while nothing happens."
)
def graph(customers: int, minutes: float) -> None:
    """Time the whole graph and Dagster's share of it, a hot lead's way, loading, and the event log's growth."""
    from bn_aura_pipelines_tests.benchmarks.graph import main

    sys.exit(0 if main(customers, minutes, click.echo) else 1)


@bench.command()
@click.option("--part", type=click.Choice(("decide", "effects", "kill", "sample")), help="One part; by default all.")
@click.option("--customers", type=int, default=1_000_000, show_default=True, help="Customers to decide about.")
@click.option("--messages", type=int, default=2_000, show_default=True, help="Messages to send while workers die.")
@click.option("--simulations", type=int, default=200, show_default=True, help="Clinics whose rule has no effect.")
@click.option("--seed", type=int, default=20250101, show_default=True, help="Of these simulations.")
@click.option("--sample", type=int, default=60_000, show_default=True, help="Customers of the sample clinics.")
def triggers(part: str | None, customers: int, messages: int, simulations: int, seed: int, sample: int) -> None:
    """Time decisions, count false alarms of the effects, and kill workers while they send."""
    from bn_aura_pipelines_tests.benchmarks.triggers import main

    sys.exit(0 if main(part, customers, messages, simulations, seed, sample, click.echo) else 1)
