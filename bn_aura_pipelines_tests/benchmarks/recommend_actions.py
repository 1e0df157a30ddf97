"""What the next best action really gains on the sample clinic, beside policies that always do the same.

Half of the customers are history: the trigger rules decide about them month by month and hold one in ten out, and
whoever is reminded while a repeat is due comes by the law's chance. Uplift is learnt from them alone, judged are the
others. By the law a reminder adds tau when a repeat is due; every other contact costs and gains nothing. A review is no
visit, so the law says nothing about asking for one: that action is left out.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.marts import actions
from bn_aura_pipelines.models.churn.scoring import score
from bn_aura_pipelines.models.churn.training import train as train_churn
from bn_aura_pipelines.models.lifetime.values import predict_values
from bn_aura_pipelines.models.recommendations.scoring import recommend
from bn_aura_pipelines.models.recommendations.similar import refresh_similar
from bn_aura_pipelines.models.recommendations.training import train
from bn_aura_pipelines.sources.sample.catalogue import TREATMENTS
from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines_tests.benchmarks.recommend_report import Array, Report, interval, verdict
from bn_aura_pipelines_tests.benchmarks.scratch import build_features

# The last of these months ends before the moment at which actions are chosen, with the 30 days that follow.
MONTHS = 17
SEED = 17
IS_HISTORY = "left(md5({id}::text), 1) < '8'"
JUDGED = tuple(name for name in actions.NAMES if name != "ask_review")

# Everybody reminded, with the law's chance that this brings them, and the treatment that is most overdue.
REMINDED = """
    with last as (
        select e.event_id, named.treatment_id, max(a.visit_at) as visit_at
        from aura_ops.trigger_events as e
        inner join aura_staging.stg_appointments as a
            on e.customer_id = a.customer_id and a.status = 'completed' and a.visit_at < e.decided_at
        cross join lateral jsonb_array_elements_text(a.treatment_ids) as named (treatment_id)
        where e.rule = 'repeat_due' and e.status = 'eligible'
        group by 1, 2
    )
    select
        e.event_id::text as event_id, e.customer_id::text as customer_id, e.clinic_id::text as clinic_id, e.decided_at,
        coalesce(d.treatment_id, '') as treatment_id, coalesce(d.price_thb, 0)::float8 as price_thb,
        case when d.event_id is null then 0 else m.tau end as tau
    from aura_ops.trigger_events as e
    inner join aura_truth.message_effects as m on e.customer_id = m.customer_id
    left join (
        select distinct on (l.event_id) l.event_id, l.treatment_id, (t.price_min_thb + t.price_max_thb) / 2 as price_thb
        from last as l
        inner join aura_ops.trigger_events as o on l.event_id = o.event_id
        inner join aura_staging.stg_treatments as t on l.treatment_id = t.treatment_id::text
        inner join clocks as c on t.name_en = c.name_en
        where extract(epoch from o.decided_at - l.visit_at) / 86400 between 0.9 * c.days and 2 * c.days
        order by l.event_id, extract(epoch from o.decided_at - l.visit_at) / c.days desc, l.treatment_id
    ) as d on e.event_id = d.event_id
    where e.rule = 'repeat_due' and e.status = 'eligible'
    order by e.decided_at, e.event_id
"""
COME = """
    insert into public.appointments (id, clinic_id, customer_id, status, appointment_date, start_time, end_time,
        treatment_ids, total_price, created_at)
    values (:id, :clinic_id, :customer_id, 'completed', :day, '11:00', '12:00', :treatment_ids, :price, :decided_at)
"""


def on_actions(database: Database, now: datetime, report: Report) -> bool:
    """Whether the next best action gains more than each fixed policy, beyond the chance of who is judged."""
    reminded = plant_history(database, now)
    build_features(database, now)
    sync(database, "customer", now, OfflineEmbedder())
    with database.begin(now) as connection:
        train_churn(connection)
        score(connection)
        predict_values(connection)
        train(connection)
        refresh_similar(connection)
        recommend(connection)
        rows, uplift = read_frame(connection, actions.CUSTOMERS), actions.learn_uplifts(connection)
        truth = read_frame(
            connection,
            "select customer_id, case when repeat_due then tau else 0 end as tau from aura_truth.message_effects"
            f" where not {IS_HISTORY.format(id='customer_id')}",
        )
    rows = rows.merge(truth, on="customer_id", validate="one_to_one")
    report(
        f"{len(reminded):,} reminders before, to customers who are not judged; by the law each added "
        f"{reminded['tau'].mean():.4f} of a visit"
    )
    report("| action | uplift | 95 % interval | from |\n|---|---|---|---|")
    for name, one in uplift.items():
        report(f"| {name} | {one.mean:+.4f} | {one.low:+.4f} to {one.high:+.4f} | {one.basis} |")
    return judge_policies(rows, actions.weigh(rows, uplift).value, report)


def judge_policies(rows: pd.DataFrame, value: Array, report: Report) -> bool:
    """Whether choosing by `value` (customers, actions) truly gains more than always doing the same; `rows` with tau."""
    known = [actions.NAMES.index(name) for name in JUDGED]
    possible = np.isfinite(value)
    gain = np.tile([-action.cost_thb for action in actions.ACTIONS], (len(rows), 1)).astype(float)
    worth = (rows["tau"] * rows["due_price_thb"].fillna(0)).to_numpy(float) * actions.MARGIN
    gain[:, actions.NAMES.index("rebook")] += worth
    # Where an action is no choice, a policy that always takes it does nothing.
    gain = np.where(possible, gain, 0.0)[:, known]
    # As in `decide`, a tie is left alone.
    chosen = len(known) - 1 - value[:, known][:, ::-1].argmax(axis=1)
    ours = gain[np.arange(len(rows)), chosen]
    counts = ", ".join(f"{name} {int((chosen == place).sum()):,}" for place, name in enumerate(JUDGED))
    report(f"chosen for {len(rows):,} customers: {counts}")
    report("| policy | gain THB a customer | ours less this | 95 % interval |\n|---|---|---|---|")
    good = True
    for place, name in enumerate(JUDGED):
        theirs = gain[:, place]
        low, high = interval(ours - theirs)
        report(f"| always {name} | {theirs.mean():.3f} | {(ours - theirs).mean():+.3f} | {low:+.3f} to {high:+.3f} |")
        good &= low > 0
    best = np.maximum(gain.max(axis=1), 0).mean()
    report(f"| who knew every tau | {best:.3f} | {ours.mean() - best:+.3f} | |")
    return verdict(report, good, f"next best action {ours.mean():.3f} THB a customer, above each fixed policy")


def plant_history(database: Database, now: datetime) -> pd.DataFrame:
    """Let the rules decide about half of the customers, month by month, and let whoever is reminded come by the law.

    The reminders, with columns `tau` (0 where nothing was due) and `came`.
    """
    decide_by_month(database, now)
    with database.begin() as connection:
        connection.exec_driver_sql(
            f"delete from aura_ops.outbox where not {IS_HISTORY.format(id='recipient_id')};"
            f"delete from aura_ops.trigger_events where not {IS_HISTORY.format(id='customer_id')}"
        )
    return bring(database, now)


def decide_by_month(database: Database, now: datetime) -> None:
    """Evaluate the rules on the first days of the months whose 30 days are over by `now`."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    months = [month := (month - timedelta(days=1)).replace(day=1) for _ in range(MONTHS)]
    for moment in reversed(months):
        with database.begin(moment) as connection:
            evaluate(connection)


def bring(database: Database, now: datetime, strength: float = 1) -> pd.DataFrame:
    """Give everybody reminded a visit within 30 days, by `strength` times the law's chance.

    The reminders, with columns `tau` (that chance; 0 where nothing was due) and `came`.
    """
    with database.begin(now) as connection:
        connection.exec_driver_sql("create temporary table clocks (name_en text, days float8) on commit drop")
        clocks = [{"name": one.name_en, "days": one.clock_days} for one in TREATMENTS]
        connection.execute(sqlalchemy.text("insert into clocks values (:name, :days)"), clocks)
        reminded = read_frame(connection, REMINDED)
        reminded["tau"] = strength * reminded["tau"].astype(float)
        rng = np.random.default_rng(SEED)
        reminded["came"] = rng.random(len(reminded)) < reminded["tau"]
        days = rng.uniform(1, 29, len(reminded))
        rows = [
            {
                "id": planted_id(row["event_id"]),
                "clinic_id": row["clinic_id"],
                "customer_id": row["customer_id"],
                "day": (row["decided_at"] + timedelta(days=after)).date(),
                "treatment_ids": json.dumps([row["treatment_id"]]),
                "price": row["price_thb"],
                "decided_at": row["decided_at"],
            }
            for row, after in zip(reminded.to_dict("records"), days.tolist(), strict=True)
            if row["came"]
        ]
        if rows:
            connection.execute(sqlalchemy.text(COME), rows)
    return reminded


def planted_id(event_id: str) -> str:
    """The appointment that a reminder brought."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, event_id))
