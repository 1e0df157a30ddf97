"""`bn-aura bench sample-voice`: the planted sentiment of a sample clinic beside what the graph finds of it.

The ceiling is the planted class itself: who reads every word rightly knows the class, and still not how the customer
feels, since the law draws the class from a polarity with thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.sentiment.training import train
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines.voice.judging import calibration_error
from bn_aura_pipelines.voice.keeping import analyse_changed
from bn_aura_pipelines.voice.model import CLASSES
from bn_aura_pipelines_tests.benchmarks.scratch import scratch_database

AS_OF = datetime.fromisoformat("2025-07-01T14:30:00+07:00")
MOST_BELOW = 0.05

Array = NDArray[np.float64]


def main(customers: int = 2_000, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether the analyses order conversations by polarity nearly as well as their planted classes do."""
    from sklearn.metrics import roc_auc_score

    with scratch_database() as database:
        generate(database, customers, AS_OF)
        with database.begin(AS_OF) as connection:
            build_source_relations(connection)
            build(connection, [view for view in load_views() if view.schema == "aura_staging"])
            decision = train(connection).decision
            analyse_changed(connection)
            rows = psycopg_connection(connection).execute(FOUND).fetchall()
    report(decision)
    truth = np.array([CLASSES.index(row[0]) for row in rows])
    polarity, negative, positive = (np.array([row[place] for row in rows], float) for place in (1, 2, 3))
    tested = np.array([row[4] for row in rows]) == "test"
    probabilities = np.column_stack([negative, 1 - negative - positive, positive])
    report("| conversations | n | AUC of feeling well | ceiling | AUC of a negative class | right class | ECE |")
    report("|---|---|---|---|---|---|---|")
    gaps = []
    for name, mask in (("all", np.ones(len(truth), bool)), ("of the test templates", tested)):
        well = polarity[mask] > 0
        found = roc_auc_score(well, (positive - negative)[mask])
        ceiling = roc_auc_score(well, truth[mask])
        gaps.append(ceiling - found)
        report(
            f"| {name} | {mask.sum():,} | {found:.3f} | {ceiling:.3f} "
            f"| {roc_auc_score(truth[mask] == 0, negative[mask]):.3f} "
            f"| {(probabilities[mask].argmax(axis=1) == truth[mask]).mean():.3f} "
            f"| {calibration_error(truth[mask], probabilities[mask]):.3f} |"
        )
    reached = gaps[0] <= MOST_BELOW
    report(f"{'reached' if reached else 'missed'}: {gaps[0]:.3f} below the ceiling, target {MOST_BELOW}")
    return reached


FOUND = """
select t.sentiment, t.polarity, a.p_negative, a.p_positive, t.template_set
from aura_ops.conversation_analysis as a
join aura_truth.conversations as t on t.conversation_id = a.conversation_id
where a.status = 'analysed'
order by a.conversation_id
"""
