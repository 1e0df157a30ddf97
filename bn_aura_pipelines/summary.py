"""What `make demo` prints at its end: tables, figures and names that show the graph has run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views

COHORT_MONTHS = 7

CANDIDATES = """
    select version, candidate, auc, log_loss, brier, ece, n_test, is_chosen
    from aura_marts.model_candidates
    where model = 'churn' and version = (select max(version) from aura_marts.model_candidates where model = 'churn')
    order by log_loss
"""
AT_RISK = """
    select customer_code, churn_score, revenue_at_risk_thb, churn_reasons_en
    from aura_marts.customer_360 where is_active and status = 'active' and churn_score is not null
    order by revenue_at_risk_thb desc, customer_id limit 5
"""
COHORTS = """
    select cohort_month, month_number, sum(cohort_size) as cohort_size, sum(active_customers) as active_customers
    from aura_marts.cohort_retention
    where cohort_month >= (select max(cohort_month) from aura_marts.cohort_retention) - interval '6 months'
    group by cohort_month, month_number order by cohort_month, month_number
"""
TRIGGERS = """
    select r.rule, e.status, e.reason_class, coalesce(e.events, 0) as events
    from (select distinct rule from aura_ops.trigger_rules) as r
    left join (
        select rule, status, case when status = 'suppressed' then reason end as reason_class, count(*) as events
        from aura_marts.trigger_events group by 1, 2, 3
    ) as e on r.rule = e.rule
    order by r.rule, e.events desc
"""


def print_summary(database: Database, as_of: datetime) -> None:
    """Rows of each table, the churn candidates, five customers at risk, cohorts, and the triggers' decisions."""
    with database.begin(as_of) as connection:
        _heading(f"Tables as of {as_of:%Y-%m-%d %H:%M} (Bangkok)")
        _tables(connection)
        _heading("Churn candidates, all on the same held-out rows")
        _candidates(connection)
        _heading("Customers with most revenue at risk")
        for row in connection.execute(text(AT_RISK)):
            click.echo(
                f"  {row.customer_code:<12} score {row.churn_score:>3}  {row.revenue_at_risk_thb:>10,.0f} THB at risk"
                f"  {row.churn_reasons_en}"
            )
        _heading("Cohorts: share of first-time customers who came in month n")
        _cohorts(connection)
        _heading("Triggers decided")
        for row in connection.execute(text(TRIGGERS)):
            why = f"{row.status or ''} {row.reason_class or ''}".strip()
            click.echo(f"  {row.rule:<24} {row.events:>7,}  {why}")


def _heading(title: str) -> None:
    click.echo(f"\n{title}")


def _tables(connection: sqlalchemy.Connection) -> None:
    owned = ["aura_ops.embeddings", "aura_models.churn_scores", "aura_ops.trigger_events"]
    marts = [view.relation for view in load_views() if view.materialized == "table"]
    for relation in sorted([*owned, *marts]):
        rows = connection.exec_driver_sql(f"select count(*) from {relation}").scalar_one()
        click.echo(f"  {relation:<36} {rows:>10,}")


def _candidates(connection: sqlalchemy.Connection) -> None:
    rows = connection.execute(text(CANDIDATES)).all()
    if not rows:
        click.echo("  none: too few labelled rows, the application's points score")
        return
    click.echo(f"  {'candidate':<16} {'AUC':>6} {'log loss':>9} {'Brier':>6} {'ECE':>6}   ({rows[0].n_test:,} rows)")
    for row in rows:
        mark = "  <- the version" if row.is_chosen else ""
        click.echo(
            f"  {row.candidate:<16} {row.auc:>6.3f} {row.log_loss:>9.3f} {row.brier:>6.3f} {row.ece:>6.3f}{mark}"
        )
    decision = connection.execute(
        text("select decision from aura_marts.model_performance where model = 'churn' and version = :version"),
        {"version": rows[0].version},
    ).scalar_one()
    click.echo(f"  {decision}")


def _cohorts(connection: sqlalchemy.Connection) -> None:
    cohorts: dict[Any, list[Any]] = {}
    for row in connection.execute(text(COHORTS)):
        cohorts.setdefault(row.cohort_month, []).append(row)
    click.echo(f"  {'cohort':<8} {'size':>5} " + " ".join(f"{f'm{number}':>5}" for number in range(COHORT_MONTHS)))
    for month, rows in cohorts.items():
        shares = " ".join(f"{row.active_customers / row.cohort_size:>5.0%}" for row in _first(rows))
        click.echo(f"  {month:%Y-%m}  {rows[0].cohort_size:>5} {shares}")


def _first(rows: Sequence[Any]) -> Sequence[Any]:
    return rows[:COHORT_MONTHS]
