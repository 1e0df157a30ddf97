"""Whether `trigger_effects` recovers what the laws of the sample clinics plant, and finds nothing where nothing is.

The rules decide month by month and hold one in ten out; who is reminded while a repeat is due comes by the law's
chance, see `recommend_actions.bring`. By the law no other message adds anything.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.recommend import SAMPLE_AS_OF
from bn_aura_pipelines_tests.benchmarks.recommend_actions import bring, decide_by_month, planted_id
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

# As the law has it, which so few reminders cannot show, and so strong that they must.
STRENGTHS = (1, 10)
VIEWS = ("aura_features.trigger_outcomes", "aura_marts.trigger_effects")
# Those told whose 30 days have passed, with every visit of theirs in these days.
VISITS = """
    select e.event_id::text as event_id, a.appointment_id::text as appointment_id
    from aura_ops.trigger_events as e
    left join aura_staging.stg_appointments as a
        on e.customer_id = a.customer_id and e.clinic_id = a.clinic_id and a.status = 'completed'
            and a.visit_at > e.decided_at and a.visit_at <= e.decided_at + interval '30 days'
    where e.rule = 'repeat_due' and e.status = 'eligible' and e.decided_at + interval '30 days' <= aura_ops.as_of()
"""
FOUND = """
    select clinic_id::text as clinic_id, rule, told, held_out, difference, low, high, always_low, always_high, verdict
    from aura_marts.trigger_effects where outcome = 'visit' and low is not null order by rule, clinic_id
"""
ROW = (
    "| {clinic_id:.8} | {told:,} | {held_out:,} | {true:.4f} | {difference:+.4f} | {low:+.4f} to {high:+.4f}"
    " | {always_low:+.4f} to {always_high:+.4f} | {verdict} |"
)


def on_sample(customers: int, say: Callable[[str], None]) -> bool:
    """Whether the planted effect lies within the intervals, is found when it is strong, and no other ever is."""
    met = []
    with scratch_database("planted") as database:
        generate(database, customers, SAMPLE_AS_OF)
        build_features(database, SAMPLE_AS_OF)
        decide_by_month(database, SAMPLE_AS_OF)
        for strength in STRENGTHS:
            reminded = bring(database, SAMPLE_AS_OF, strength)
            with database.begin(SAMPLE_AS_OF) as connection:
                build(connection, [get_view(name) for name in VIEWS])
                found, visits = read_frame(connection, FOUND), read_frame(connection, VISITS)
                ids = [planted_id(event_id) for event_id in reminded["event_id"]]
                forget = text("delete from public.appointments where id = any(cast(:ids as uuid[]))")
                connection.execute(forget, {"ids": ids})
            say(f"\nsample: {strength} times the law")
            met.append(_judge(_beside(found.query("rule == 'repeat_due'"), reminded, visits), strength, say))
        others = found.query("rule != 'repeat_due'")
        called = others.query("verdict in ('helps', 'harms')")
        say(f"sample: of {len(others)} rules and clinics without effect {len(called)} got a verdict")
        return all(met) and called.empty


def _beside(found: pd.DataFrame, reminded: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """With what the law says of each clinic: who would have come without this message gains nothing by it."""
    visits["anyway"] = visits["appointment_id"].notna() & (
        visits["appointment_id"] != visits["event_id"].map(planted_id)
    )
    anyway = visits.groupby("event_id", as_index=False)["anyway"].any()
    told = reminded.merge(anyway, on="event_id", validate="one_to_one")
    told["true"] = told["tau"] * ~told["anyway"]
    return found.merge(told.groupby("clinic_id", as_index=False)["true"].mean(), on="clinic_id")


def _judge(planted: pd.DataFrame, strength: float, say: Callable[[str], None]) -> bool:
    say("| clinic | told | held out | planted | found | 95 % interval | at every look | verdict |\n|" + "---|" * 8)
    for row in planted.query("verdict != 'too_few'").to_dict("records"):
        say(ROW.format(**row))
    inside = planted["true"].between(planted["low"], planted["high"])
    always = planted["true"].between(planted["always_low"], planted["always_high"])
    # All clinics together, each by its weight among the told; the intervals' halves as standard errors.
    weight = (planted["told"] / planted["told"].sum()).to_numpy()
    mean, law = float(weight @ planted["difference"]), float(weight @ planted["true"])
    half = float(np.sqrt(np.sum((weight * (planted["high"] - planted["low"]) / 2) ** 2)))
    helpful = (planted["verdict"] == "helps").sum()
    say(
        f"sample: planted {law:.4f} over all clinics, found {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f});"
        f" within its own interval in {inside.sum()} of {len(planted)} clinics, within the one at every look in"
        f" {always.sum()}; called helpful in {helpful}"
    )
    is_found = strength == 1 or mean - half > 0
    return abs(mean - law) <= half and bool(always.all()) and is_found
