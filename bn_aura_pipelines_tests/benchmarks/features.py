"""`bn-aura bench features`: time and memory of features, training and scoring, and how they grow with the customers.

Each size is measured in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.churn import candidates
from bn_aura_pipelines.models.churn.scoring import score
from bn_aura_pipelines.models.churn.training import fit_bgnbd, read_rows, train
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.scratch import scratch_database

AS_OF = datetime.fromisoformat("2025-07-01T14:30:00+07:00")
SIZES = (10_000, 100_000)
SNAPSHOTS = ("aura_features.snapshot_moments", "aura_features.customer_snapshots")
MOST = {"features s": 60.0, "training / bare": 1.3, "scoring s": 15.0, "peak MB": 4096.0}
# Of a step of a second or two a large part is fixed or noise.
GROWTH = ("features s", "scoring s")


def main(sizes: Sequence[int] = SIZES, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether the largest size stays within every bound and growth is no worse than linear."""
    found: dict[int, dict[str, float]] = {}
    for size in sizes:
        with scratch_database() as database:
            generate(database, size, AS_OF)
            address = database.url.render_as_string(hide_password=False)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                found[size] = pool.submit(measure, address).result()
        if size == sizes[0]:
            report("| customers | " + " | ".join(found[size]) + " |")
            report("|---" * (len(found[size]) + 1) + "|")
        report(f"| {size:,} | " + " | ".join(f"{_written(value)}" for value in found[size].values()) + " |")
    largest, good = found[sizes[-1]], True
    for name, most in MOST.items():
        good &= largest[name] <= most
        report(f"{'reached' if largest[name] <= most else 'missed'}: {name} {largest[name]:,.4g}, target {most:g}")
    for name in GROWTH if len(sizes) > 1 else ():
        growth, more = largest[name] / found[sizes[0]][name], sizes[-1] / sizes[0]
        good &= growth <= more
        report(
            f"{'reached' if growth <= more else 'missed'}: {name} grow {growth:.1f} times for {more:g} times as many"
        )
    return good


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"


def measure(address: str) -> dict[str, float]:
    """Every figure of one size, in the order of a run. The database's own memory is not part of the peak."""
    import xgboost

    database = Database(sqlalchemy.make_url(address))
    figures: dict[str, float] = {}
    with database.begin(AS_OF) as connection:
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema == "aura_staging"])
    begun = time.perf_counter()
    with database.begin(AS_OF) as connection:
        build(connection, [view for view in load_views() if view.relation in SNAPSHOTS])
    figures["features s"] = time.perf_counter() - begun
    with database.begin(AS_OF) as connection:
        figures["snapshot rows"] = connection.exec_driver_sql(
            "select count(*) from aura_features.customer_snapshots"
        ).scalar_one()
        rows = read_rows(connection)
    figures["training rows"] = len(rows.train)

    matrix = candidates.matrix(rows.train, fit_bgnbd(rows))
    truth = rows.train["churned"].to_numpy(float)
    begun = time.perf_counter()
    data = xgboost.DMatrix(matrix, label=truth)
    xgboost.train(candidates.XGBOOST_PARAMETERS, data, candidates.XGBOOST_ROUNDS)
    bare = time.perf_counter() - begun
    del matrix, data
    begun = time.perf_counter()
    candidates.fit_all(rows.train, fit_bgnbd(rows))
    fitted = time.perf_counter() - begun
    figures |= {"bare xgboost s": bare, "training s": fitted, "training / bare": fitted / bare}
    begun = time.perf_counter()
    with database.begin(AS_OF) as connection:
        train(connection)
    figures["read, train, judge s"] = time.perf_counter() - begun
    begun = time.perf_counter()
    with database.begin(AS_OF) as connection:
        score(connection)
    figures["scoring s"] = time.perf_counter() - begun
    figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    database.engine.dispose()
    return figures
