"""`bn-aura bench lifetime`: predicted revenue of a real export beside the revenue that came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.lifetime.assets import figures_table
from bn_aura_pipelines.models.lifetime.training import LEAST_COVERAGE, MOST_COVERAGE, train
from bn_aura_pipelines.sources.importing import import_folder
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines_tests.benchmarks.scratch import scratch_database

AS_OF = datetime.fromisoformat("2011-12-10T00:00:00+07:00")


def main(data: Path, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether the interval covers what it claims and the model beats the baselines; `report` gets the figures."""
    with scratch_database() as database:
        import_folder(database, data, lambda line: None)
        with database.begin(AS_OF) as connection:
            build_source_relations(connection)
            build(connection, [view for view in load_views() if view.schema == "aura_staging"])
            training = train(connection)
    held_out = training.held_out
    report(figures_table(held_out))
    report(training.decision)
    if held_out is None or held_out.figures[0].coverage is None:
        return False
    coverage = held_out.figures[0].coverage
    good = LEAST_COVERAGE <= coverage <= MOST_COVERAGE
    report(
        f"{'reached' if good else 'missed'}: coverage {coverage:.3f}, target {LEAST_COVERAGE} to {MOST_COVERAGE}, "
        f"with intervals of {held_out.interval_share:.0%} of the draws, chosen on the other half of the customers"
    )
    return good and "beats" in training.decision
