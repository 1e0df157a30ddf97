"""The timeline holds each event of a customer once, and nothing of another clinic."""

from __future__ import annotations

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines_tests.marts.conftest import NOW

SOURCES = {
    "entered": "select count(*) from public.customers where created_at < :now",
    "appointment": "select count(*) from public.appointments where created_at < :now",
    "conversation": "select count(*) from public.customer_conversations where created_at < :now"
    " and customer_id is not null",
    "stage_change": "select count(*) from aura_ops.lead_stage_history as h join public.sales_leads as l"
    " on h.lead_id = l.id where l.customer_id is not null",
}


def ask(database: Database, statement: str, **values: object) -> list[tuple[object, ...]]:
    with database.begin(NOW) as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(statement), {"now": NOW, **values})]


def test_every_row_of_the_sources_is_on_the_timeline_once(marts: Database) -> None:
    found = dict(ask(marts, "select kind, count(*) from aura_marts.customer_timeline group by kind"))
    expected = {kind: ask(marts, query)[0][0] for kind, query in SOURCES.items()}
    assert {kind: found.get(kind, 0) for kind in expected} == expected
    assert min(found.values()) > 0
    assert ask(marts, "select count(*) - count(distinct event_id) from aura_marts.customer_timeline") == [(0,)]


def test_purchases_add_up_to_the_revenue(marts: Database) -> None:
    paid = ask(marts, "select sum(amount_thb) from aura_marts.customer_timeline")
    assert paid == ask(marts, "select sum(revenue_thb) from aura_marts.customer_360")
    assert paid == ask(
        marts,
        "select sum(total_price) from public.appointments where status = 'completed' and created_at < :now"
        " and (appointment_date + start_time) at time zone 'Asia/Bangkok' < :now",
    )


def test_health_counts_what_belongs_to_nobody_and_the_timeline_leaves_it_out(marts: Database) -> None:
    ask_before = ask(marts, "select count(*) from aura_marts.customer_timeline")[0][0]
    with marts.begin() as connection:
        lost = connection.execute(
            sqlalchemy.text(
                "update public.customer_conversations set clinic_id = null, customer_id = null where id in"
                " (select id from public.customer_conversations where customer_id is not null order by id limit 2)"
            )
        ).rowcount
        connection.execute(
            sqlalchemy.text(
                "update public.customer_conversations set clinic_id ="
                " (select id from public.clinics as other where other.id <> customer_conversations.clinic_id limit 1)"
                " where id = (select id from public.customer_conversations where customer_id is not null"
                " order by id limit 1)"
            )
        )
    with marts.begin(NOW) as connection:
        build(connection, load_views())
    assert lost == 2
    assert ask(marts, "select count(*) from aura_marts.customer_timeline")[0][0] == ask_before - 3
    health = "select row_count, without_customer from aura_marts.pipeline_health where source = 'conversations'"
    nobodys = "select count(*), count(*) filter (where customer_id is null) from public.customer_conversations"
    assert ask(marts, f"{health} and clinic_id = '00000000-0000-0000-0000-000000000000'") == ask(
        marts, f"{nobodys} where clinic_id is null and created_at < :now"
    )
    totals = ask(marts, "select sum(row_count) from aura_marts.pipeline_health where source = 'conversations'")
    assert totals == ask(marts, "select count(*) from public.customer_conversations where created_at < :now")


def test_an_empty_database_has_a_row_of_health_for_each_source(database: Database) -> None:
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, load_views())
    assert ask(database, "select sum(row_count), count(*) from aura_marts.pipeline_health") == [(0, 4)]
    assert ask(database, "select count(*) from aura_marts.customer_timeline") == [(0,)]
