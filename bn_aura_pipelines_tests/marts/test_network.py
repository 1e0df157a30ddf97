"""Who brought whom and who resembles whom: whatever the referrals say, and the same whichever way it was computed."""

from __future__ import annotations

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.recommendations.similar import SimilarResult, refresh_similar
from bn_aura_pipelines_tests.marts.conftest import NOW

PLACES = "(select id, clinic_id, row_number() over (partition by clinic_id order by id) as place from public.customers)"
REFER = f"""
    insert into public.referrals (clinic_id, referrer_customer_id, referred_customer_id, status, created_at)
    select a.clinic_id, a.id, b.id, 'completed', timestamptz '2026-01-01' + :later * interval '1 hour'
    from {PLACES} as a join {PLACES} as b on a.place = :referrer and b.place = :referred
    where (a.clinic_id = b.clinic_id) = :same
"""


@pytest.fixture
def sample(marts: Database) -> Database:
    with marts.begin() as connection:
        connection.exec_driver_sql("delete from public.referrals")
    return marts


def refer(database: Database, *pairs: tuple[int, int], same: bool = True) -> None:
    """Customers of each clinic by their place among its ids, in the order in which the referrals were made."""
    with database.begin() as connection:
        for later, (referrer, referred) in enumerate(pairs):
            connection.execute(
                sqlalchemy.text(REFER), {"later": later, "referrer": referrer, "referred": referred, "same": same}
            )


def chains(database: Database) -> set[tuple[int, int, int]]:
    """(who brought, who came, through how many steps) by place; the same in every clinic."""
    with database.begin(NOW) as connection:
        build(connection, load_views())
        rows = connection.exec_driver_sql(
            "select r.clinic_id, a.place as brought, b.place as came, r.depth from aura_marts.customer_referrals as r"
            f" join {PLACES} as a on r.customer_id = a.id join {PLACES} as b on r.referred_customer_id = b.id"
            " where a.clinic_id = r.clinic_id and b.clinic_id = r.clinic_id"
        ).all()
        whole = connection.exec_driver_sql("select count(*) from aura_marts.customer_referrals").scalar_one()
    assert len(rows) == whole
    return {(row.brought, row.came, row.depth) for row in rows}


def test_nobody_refers_himself_and_the_first_who_referred_counts(sample: Database) -> None:
    refer(sample, (1, 1), (1, 2), (3, 2), (2, 4))
    assert chains(sample) == {(1, 2, 1), (2, 4, 1), (1, 4, 2)}


def test_a_circle_is_walked_once(sample: Database) -> None:
    refer(sample, (1, 2), (2, 3), (3, 1))
    assert chains(sample) == {(1, 2, 1), (2, 3, 1), (3, 1, 1), (1, 3, 2), (2, 1, 2), (3, 2, 2)}


def test_a_referral_across_clinics_is_none(sample: Database) -> None:
    refer(sample, (1, 2), same=False)
    assert chains(sample) == set()


def similar(database: Database) -> tuple[SimilarResult, list[tuple[object, ...]]]:
    with database.begin(NOW) as connection:
        build(connection, [view for view in load_views() if view.schema == "aura_staging"])
        result = refresh_similar(connection)
        rows = connection.exec_driver_sql(
            "select clinic_id, customer_id, rank, similar_customer_id, similarity from aura_models.similar_customers"
            " order by 1, 2, 3"
        )
        return result, [tuple(row) for row in rows]


CHANGES = {
    "somebody came": "update public.appointments set status = 'completed', treatment_ids ="
    " jsonb_build_array((select min(id::text) from public.treatments)) where customer_id in"
    " (select id from public.customers order by id limit 3)",
    "somebody left": "delete from public.customers where id in (select id from public.customers order by id limit 2)",
    "a profile is new": "insert into aura_ops.embeddings select 'customer', id, clinic_id, (select model from"
    " aura_ops.embedding_models where active), 1, 'x', (select array_agg(mod(i, 7)) from generate_series(1, 768) as i)"
    "::halfvec from public.customers order by id limit 4",
    "a profile is empty": "insert into aura_ops.embeddings select 'customer', id, clinic_id, (select model from"
    " aura_ops.embedding_models where active), 1, 'x', array_fill(0, array[768])::halfvec"
    " from public.customers order by id limit 4",
    "nothing": "select 1",
}


@pytest.mark.parametrize("change", CHANGES)
def test_refreshing_gives_what_comparing_everybody_gives(sample: Database, change: str) -> None:
    with sample.begin() as connection:
        connection.exec_driver_sql(
            "insert into aura_ops.embedding_models (model, active) select 'test', true"
            " where not exists (select from aura_ops.embedding_models where active)"
        )
    similar(sample)
    with sample.begin() as connection:
        connection.exec_driver_sql(CHANGES[change])
    refreshed, rows = similar(sample)
    with sample.begin() as connection:
        connection.exec_driver_sql("delete from aura_models.customer_profiles")
        connection.exec_driver_sql("delete from aura_models.similar_customers")
    whole, anew = similar(sample)
    assert rows == anew
    assert len(rows) > 1000
    assert refreshed.compared < whole.compared
    assert (refreshed.changed == 0) == (change == "nothing")
