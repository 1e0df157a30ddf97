"""What the sample says about its world: plausible shares, honest time, the dirt that is meant to be there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.sample.laws import LAWS
from bn_aura_pipelines.sources.sample.messages import TEMPLATES
from bn_aura_pipelines_tests.sources.sample.conftest import AS_OF


def value(database: Database, query: str) -> Any:
    with database.begin(as_of=AS_OF) as connection:
        return connection.execute(sqlalchemy.text(query)).scalar_one()


TABLES = ("clinics", "users", "customers", "appointments", "sales_leads", "referrals", "customer_conversations")
CHANGING = ("customers", "appointments", "sales_leads", "customer_conversations")
NEVER = {
    **{f"{table} created too late": f"{table} where created_at >= aura_ops.as_of()" for table in TABLES},
    **{
        f"{table} changed out of time": f"{table} where updated_at >= aura_ops.as_of() or updated_at < created_at"
        for table in CHANGING
    },
    "visits before their booking": """
        appointments where (appointment_date + start_time) at time zone 'Asia/Bangkok' <= created_at
    """,
    "bookings before their customer": """
        appointments a join customers c on c.id = a.customer_id where a.created_at < c.created_at
    """,
    "conversations before their customer": """
        customer_conversations v join customers c on c.id = v.customer_id where v.created_at < c.created_at
    """,
    "customers before their lead": """
        sales_leads l join customers c on c.id = l.customer_id where c.created_at < l.created_at
    """,
    "messages out of time": """
        customer_conversations v, jsonb_array_elements(v.messages) m
        where jsonb_typeof(m) = 'object' and m ->> 'role' in ('sales', 'customer', 'ai_coach')
            and aura_ops.try_timestamptz(m ->> 'timestamp') not between v.created_at and v.updated_at
            and m ->> 'content' <> 'ok'
    """,
    "outcomes known too early": """
        appointments where (appointment_date + start_time) at time zone 'Asia/Bangkok' >= aura_ops.as_of()
            and status in ('completed', 'no_show', 'in_progress')
    """,
    "outcomes unknown": """
        appointments where (appointment_date + start_time) at time zone 'Asia/Bangkok' < aura_ops.as_of()
            and status in ('scheduled', 'confirmed')
    """,
    "first and last visits that are no completed ones": """
        customers c
        left join (
            select customer_id, min(appointment_date) as first_day, max(appointment_date) as last_day
            from appointments where status = 'completed' group by customer_id
        ) a on a.customer_id = c.id
        where (c.first_visit_date, c.last_visit_date) is distinct from (a.first_day, a.last_day)
    """,
    "won leads without their customer": "sales_leads where (status = 'won') <> (customer_id is not null)",
    "won leads unlike their customer": """
        sales_leads l join customers c on c.id = l.customer_id
        where l.name <> c.full_name or c.created_at <> l.updated_at
    """,
    "late notes on open leads": """
        sales_leads l join aura_truth.leads t on t.lead_id = l.id
        where t.note_after_outcome and (l.status not in ('won', 'lost') or l.notes is null)
    """,
}


@pytest.mark.parametrize("never", NEVER)
def test_there_are_no(sampled: Database, never: str) -> None:
    assert value(sampled, f"select count(*) from {NEVER[never]}") == 0


def test_visits_are_in_opening_hours_and_end_after_they_begin(sampled: Database) -> None:
    assert value(sampled, "select min(start_time)::text from appointments") >= "10:00:00"
    assert value(sampled, "select max(start_time)::text from appointments") <= "19:30:00"
    assert value(sampled, "select min(duration_minutes) from appointments") >= 30


def test_a_few_visits_lie_ahead(sampled: Database) -> None:
    ahead = "(appointment_date + start_time) at time zone 'Asia/Bangkok' >= aura_ops.as_of()"
    assert 0.002 < value(sampled, f"select avg(({ahead})::int)::float8 from appointments") < 0.05


@pytest.mark.parametrize(
    ("query", "low", "high"),
    [
        ("select avg((status = 'no_show')::int)::float8 from appointments", 0.07, 0.19),
        ("select avg((status = 'cancelled')::int)::float8 from appointments", 0.04, 0.14),
        ("select avg((status = 'completed')::int)::float8 from appointments", 0.68, 0.88),
        ("select avg((status = 'won')::int)::float8 from sales_leads", 0.17, 0.4),
        ("select avg(marketing_opt_in::int)::float8 from customer_preferences", 0.5, 0.7),
        ("select avg((metadata ? 'sentiment')::int)::float8 from customer_conversations", 0.5, 0.7),
        ("select avg(label_noise::int)::float8 from aura_truth.conversations", 0.04, 0.12),
        ("select avg((language = 'th')::int)::float8 from aura_truth.conversations", 0.7, 0.9),
        ("select avg(holdout::int)::float8 from aura_truth.message_effects", 0.05, 0.15),
        ("select corr(satisfaction, polarity) from aura_truth.conversations", 0.6, 0.8),
        (
            "select corr((v.metadata -> 'sentiment' ->> 'satisfaction_score')::float8, t.satisfaction)"
            " from customer_conversations v join aura_truth.conversations t on t.conversation_id = v.id",
            0.45,
            0.8,
        ),
        ("select corr(quality, (outcome = 'won')::int) from aura_truth.leads", 0.2, 0.7),
        (
            "select 1 - avg(coalesce(t.next_completed_at < aura_ops.as_of() + interval '90 days', false)::int)::float8"
            " from aura_truth.customers t join customers c on c.id = t.customer_id"
            " where c.last_visit_date > (aura_ops.as_of() - interval '365 days')::date",
            0.2,
            0.8,
        ),
    ],
)  # fmt: skip
def test_shares_are_plausible(sampled: Database, query: str, low: float, high: float) -> None:
    assert low < value(sampled, query.replace(":", "\\:")) < high


def test_the_promised_dirt_is_there(sampled: Database) -> None:
    for query in (
        "select count(*) from customer_conversations where clinic_id is null",
        "select count(*) from sales_leads where clinic_id is null",
        "select count(*) from appointments where status in ('cancelled', 'no_show') and total_price > 0",
        "select count(*) from customers a join customers b on a.email = b.email and a.id < b.id",
        "select count(*) from customer_conversations, jsonb_array_elements(messages) m"
        " where jsonb_typeof(m) <> 'object' or m ->> 'content' is null or m ->> 'role' = 'robot'",
        "select count(*) from customer_conversations where updated_at > created_at + interval '4 days'",
        "select count(*) from appointments, jsonb_array_elements_text(treatment_ids) t"
        " where not exists (select from treatments where id = t::uuid)",
    ):
        assert value(sampled, query.replace(":", "\\:")) > 0, query


def test_names_and_numbers_occur_in_conversations(sampled: Database) -> None:
    spoken = "select count(*) from customer_conversations v join customers c on c.id = v.customer_id where {}"
    assert value(sampled, spoken.format("strpos(v.messages::text, c.full_name) > 0").replace(":", "\\:")) > 0
    assert value(sampled, spoken.format("strpos(v.messages::text, c.phone) > 0").replace(":", "\\:")) > 0


def test_no_sentence_is_both_in_training_and_in_test(sampled: Database) -> None:
    training = {text for key, texts in TEMPLATES.items() if key[-1] == 0 for text in texts}
    test = {text for key, texts in TEMPLATES.items() if key[-1] == 1 for text in texts}
    assert training.isdisjoint(test)
    assert {"training", "test"} == set(
        value(sampled, "select array_agg(distinct template_set) from aura_truth.conversations")
    )


def test_the_laws_are_stored_with_the_sample(sampled: Database) -> None:
    assert value(sampled, "select value from aura_truth.laws where law = 'loss_satisfaction'") == LAWS.loss_satisfaction


def test_satisfied_customers_stay_longer(sampled: Database) -> None:
    with sampled.begin() as connection:
        rows = connection.execute(
            sqlalchemy.text("select satisfaction, (lost_at is not null)::int from aura_truth.customers")
        ).all()
    satisfaction, lost = np.array(rows, float).T
    assert satisfaction[lost == 1].mean() < satisfaction[lost == 0].mean()
