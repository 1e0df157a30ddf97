"""`bn-aura bench forecast`: the pipeline forecast of the sample clinic against what came, in twelve past months; with a
history of stages and without; and what the leakage guard found.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.models.leads.forecast import ForecastResult, forecast
from bn_aura_pipelines.models.leads.history import StageChange, import_history, record
from bn_aura_pipelines.models.leads.scoring import score
from bn_aura_pipelines.models.leads.training import train
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

AS_OF = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
COVERED = (0.7, 0.9)
MONTHS = 12
PLANTED = "metadata.attributes.closing_note"

# Written by somebody who knew how it ended.
PLANT = """
    update public.sales_leads as l set metadata = jsonb_set(
        jsonb_set(metadata, '{attributes}', '{}'), '{attributes,closing_note}',
        to_jsonb(case status when 'won' then 'deposit' else 'no answer' end)
    ) where status in ('won', 'lost')
"""
BY_HORIZON = """
    select horizon_days, count(distinct forecast_at) as months, avg(wins_inside) as wins, avg(thb_inside) as thb,
        avg(wins_p90 - wins_p10) as width, avg(abs(wins_actual - wins_p50)) as miss
    from aura_models.lead_forecast_backtests group by horizon_days order by horizon_days
"""


def main(customers: int, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether 80 % intervals cover 70 to 90 % with and without a history, and both planted leaks are found."""
    with scratch_database() as database:
        generate(database, customers, AS_OF)
        with database.begin() as connection:
            connection.execute(text(PLANT))
        build_features(database, AS_OF)
        with database.begin(AS_OF) as connection:
            guard = train(connection).guard
            for line in guard.splitlines():
                report(line)
            score(connection)
            record(connection)
            good = _told(connection, report, "stages as the application keeps them: only the present one")
            told = connection.execute(text("select lead_id::text, stage, reached_at from aura_truth.lead_stages"))
            import_history(connection, [StageChange(*row) for row in told])
            good &= _told(connection, report, "the history of stages imported")
    found = all(any(line.startswith(f"{name}: dropped") for line in guard.splitlines()) for name in (PLANTED, "notes"))
    report(f"{'found' if found else 'NOT FOUND'}: the planted leaks in notes and {PLANTED}")
    return good and found


def _told(connection: sqlalchemy.Connection, report: Callable[[str], None], title: str) -> bool:
    result = forecast(connection)
    report("")
    report(f"{title}: {result.open_leads:,} open leads, {result.months} months back-tested")
    report("| days | wins inside | THB inside | mean width of the 80 % interval, wins | mean miss of the median |")
    report("|---|---|---|---|---|")
    for row in connection.execute(text(BY_HORIZON)):
        report(f"| {row.horizon_days} | {row.wins:.3f} | {row.thb:.3f} | {row.width:.2f} | {row.miss:.2f} |")
    return _covers(result, report)


def _covers(result: ForecastResult, report: Callable[[str], None]) -> bool:
    good = result.months == MONTHS
    for name, value in (("wins", result.wins_coverage), ("THB", result.thb_coverage)):
        inside = value is not None and COVERED[0] <= value <= COVERED[1]
        report(f"{'reached' if inside else 'missed'}: {name} inside {value or np.nan:.3f}, target .7 to .9")
        good &= inside
    return good
