"""Recommendations: only what the clinic offers and what is active, never across clinics, whatever the data are like."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta

import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.recommendations.cautions import caution
from bn_aura_pipelines.models.recommendations.scoring import recommend
from bn_aura_pipelines.models.recommendations.similar import refresh_similar
from bn_aura_pipelines.models.recommendations.training import train
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines_tests.models.conftest import AS_OF

MOMENT = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
ENTERED = datetime.fromisoformat("2025-01-01T00:00:00+07:00")


def key(name: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(name)))


class Clinics:
    """A small database, row by row."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.execute("delete from public.clinics")
        self.execute(
            "insert into public.users (id, email, created_at) values (:u, 's@example.com', :t)", u=key("staff")
        )

    def execute(self, statement: str, **values: object) -> None:
        bound = {"t": ENTERED, **values}
        used = {name: value for name, value in bound.items() if f":{name}" in statement}
        with self.database.begin() as connection:
            connection.execute(sqlalchemy.text(statement), used)

    def add_clinic(self, name: str) -> None:
        self.execute(
            "insert into public.clinics (id, clinic_code, display_name, created_at) values (:i, :n, '{}', :t)",
            i=key(name), n=name,
        )  # fmt: skip

    def add_treatment(self, name: str, active: bool = True, category: str = "injectable") -> None:
        self.execute(
            "insert into public.treatments (id, names, category, price_min, price_max, is_active, created_at)"
            " values (:i, :n, :c, 1000, 2000, :a, :t)",
            i=key(name), n=json.dumps({"en": name, "th": name}), c=category, a=active,
        )  # fmt: skip

    def add_customer(self, name: str, clinic: str, **changes: object) -> None:
        self.execute(
            "insert into public.customers (id, clinic_id, customer_code, full_name, allergies, medical_notes, status,"
            " created_at) values (:i, :k, cast(:n as varchar), cast(:n as varchar), :allergies, :notes, :status, :t)",
            i=key(name), k=key(clinic), n=name, allergies=changes.get("allergies"), notes=changes.get("notes"),
            status=changes.get("status", "active"),
        )  # fmt: skip

    def visit(self, name: str, clinic: str, days_ago: int, *treatments: str, price: float = 1500) -> None:
        """A completed visit; a booking where it lies ahead."""
        when = MOMENT - timedelta(days=days_ago)
        self.execute(
            "insert into public.appointments (id, clinic_id, customer_id, status, appointment_date, start_time,"
            " end_time, treatment_ids, total_price, created_at)"
            " values (:i, :k, :c, :s, :d, '10:00', '11:00', :x, :p, :b)",
            i=str(uuid.uuid4()), k=key(clinic), c=key(name), s="completed" if days_ago > 0 else "scheduled",
            d=when.date(), x=json.dumps([key(one) for one in treatments]), p=price,
            b=min(when, MOMENT) - timedelta(days=3),
        )  # fmt: skip

    def recommend(self) -> list[dict[str, object]]:
        with self.database.begin(MOMENT) as connection:
            build_source_relations(connection)
            build(connection, [view for view in load_views() if view.schema == "aura_staging"])
            train(connection)
            refresh_similar(connection)
            recommend(connection)
            rows = connection.exec_driver_sql(
                "select * from aura_models.treatment_recommendations order by customer_id, kind, rank"
            ).mappings()
            return [dict(row) for row in rows]


def of(rows: list[dict[str, object]], customer: str, kind: str) -> list[str]:
    return [
        str(row["treatment_id"]) for row in rows if str(row["customer_id"]) == key(customer) and row["kind"] == kind
    ]


def test_what_was_had_is_rebooked_and_what_others_take_with_it_is_offered(database: Database) -> None:
    clinics = Clinics(database)
    clinics.add_clinic("a")
    for name in ("botox", "laser"):
        clinics.add_treatment(name)
    for number in range(8):
        clinics.add_customer(f"both {number}", "a")
        clinics.visit(f"both {number}", "a", 200 + number, "botox", "laser")
    clinics.add_customer("anna", "a")
    for days in (368, 248, 128):
        clinics.visit("anna", "a", days, "botox")
    rows = clinics.recommend()
    assert of(rows, "anna", "rebook") == [key("botox")]
    assert of(rows, "anna", "cross_sell") == [key("laser")]
    told = {row["kind"]: row for row in rows if str(row["customer_id"]) == key("anna")}
    assert told["rebook"]["reason_en"] == "last botox 128 days ago, usually every 120"
    assert told["rebook"]["reason_th"] == "ทำbotoxครั้งล่าสุด 128 วันก่อน ปกติทำทุก 120 วัน"
    assert told["rebook"]["due_in_days"] in (-9, -8, -7)
    assert told["cross_sell"]["reason_en"] == "of those who had botox, 89% also take laser"


def test_ids_that_no_longer_exist_no_visits_and_one_treatment_are_no_obstacle(database: Database) -> None:
    clinics = Clinics(database)
    clinics.add_clinic("a")
    clinics.add_clinic("empty")
    clinics.add_treatment("botox")
    clinics.add_customer("anna", "a")
    clinics.visit("anna", "a", 30, "vanished", "botox")
    clinics.visit("anna", "a", 10, "vanished")
    clinics.add_customer("new", "a")
    clinics.add_customer("nobody", "empty")
    rows = clinics.recommend()
    assert of(rows, "anna", "rebook") == [key("botox")]
    assert of(rows, "anna", "cross_sell") == []
    assert of(rows, "new", "cross_sell") == [key("botox")]
    assert [row["basis"] for row in rows if str(row["customer_id"]) == key("new")] == ["popularity"]
    assert of(rows, "nobody", "cross_sell") == []


def test_an_empty_database_gives_empty_tables(database: Database) -> None:
    assert Clinics(database).recommend() == []


def test_what_is_booked_already_and_whom_the_clinic_has_barred_is_left_out(database: Database) -> None:
    clinics = Clinics(database)
    clinics.add_clinic("a")
    clinics.add_treatment("botox")
    clinics.add_treatment("laser")
    for name, status in (("anna", "active"), ("barred", "blacklisted")):
        clinics.add_customer(name, "a", status=status)
        clinics.visit(name, "a", 120, "botox", "laser")
    clinics.visit("anna", "a", -5, "botox")
    rows = clinics.recommend()
    assert of(rows, "anna", "rebook") == [key("laser")]
    assert of(rows, "barred", "rebook") == []


def test_a_course_that_was_bought_is_named(database: Database) -> None:
    clinics = Clinics(database)
    clinics.add_clinic("a")
    clinics.add_treatment("facial", category="facial")
    clinics.add_customer("anna", "a")
    clinics.visit("anna", "a", 60, "facial", price=7500)
    clinics.visit("anna", "a", 30, "facial", price=0)
    (row,) = clinics.recommend()
    assert row["reason_en"] == "last facial 30 days ago; a course was bought, used once since"


def test_notes_flag_a_treatment_for_a_person_and_rule_nothing_out(database: Database) -> None:
    clinics = Clinics(database)
    clinics.add_clinic("a")
    clinics.add_treatment("botox")
    for name, notes in (("pregnant", "ตั้งครรภ์ 5 เดือน"), ("strange", "see the file"), ("none", "ไม่มี")):
        clinics.add_customer(name, "a", notes=notes)
        clinics.visit(name, "a", 90, "botox")
    rows = clinics.recommend()
    found = {str(row["customer_id"]): row["caution_en"] for row in rows if row["kind"] == "rebook"}
    assert found == {
        key("pregnant"): "Check first: the notes mention pregnancy or breast-feeding",
        key("strange"): "Read the medical notes first",
        key("none"): None,
    }
    assert caution("laser", "lidocaine", None) == (
        "Check first: the notes mention anaesthetics",
        "ตรวจสอบก่อน: มีบันทึกเรื่องยาชา",
    )
    assert caution("facial", "NKDA", "-") is None


VISIT = st.tuples(st.integers(0, 5), st.integers(1, 400), st.lists(st.integers(0, 4), min_size=1, max_size=3))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    visits=st.lists(VISIT, max_size=25),
    active=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_nobody_is_recommended_across_clinics_nor_what_is_inactive(
    database: Database, visits: list[tuple[int, int, list[int]]], active: list[bool]
) -> None:
    with database.begin() as connection:
        for table in ("appointments", "customers", "treatments", "clinics", "users"):
            connection.exec_driver_sql(f"delete from public.{table}")
    clinics = Clinics(database)
    for clinic in ("a", "b"):
        clinics.add_clinic(clinic)
    for number, is_active in enumerate(active):  # the fifth never existed
        clinics.add_treatment(f"treatment {number}", is_active)
    for number in range(6):
        clinics.add_customer(f"customer {number}", "ab"[number % 2])
    for customer, days, treatments in visits:
        clinics.visit(f"customer {customer}", "ab"[customer % 2], days, *(f"treatment {one}" for one in treatments))
    taken = {clinic: set[str]() for clinic in "ab"}
    for customer, _, treatments in visits:
        taken["ab"[customer % 2]] |= {key(f"treatment {one}") for one in treatments}
    may = {key(f"treatment {number}") for number, is_active in enumerate(active) if is_active}
    for row in clinics.recommend():
        clinic = next(name for name in "ab" if key(name) == str(row["clinic_id"]))
        assert str(row["treatment_id"]) in may & taken[clinic]
    with database.begin() as connection:
        across = connection.exec_driver_sql(
            "select count(*) from aura_models.similar_customers as s"
            " join public.customers as a on s.customer_id = a.id join public.customers as b on"
            " s.similar_customer_id = b.id where a.clinic_id <> b.clinic_id or a.clinic_id <> s.clinic_id"
        ).scalar_one()
    assert across == 0


def test_the_sample_clinic_is_recommended_to_and_again_writes_nothing(featured: Database) -> None:
    for again in (False, True):
        with featured.begin(AS_OF) as connection:
            trained = train(connection)
            refresh_similar(connection)
            result = recommend(connection)
        assert all(one.new is not again for one in trained)
        assert (result.written == 0) is again
    assert result.customers > 400
    with featured.begin(AS_OF) as connection:
        wrong = connection.exec_driver_sql(
            "select count(*) from aura_models.treatment_recommendations as r"
            " join public.customers as c on r.customer_id = c.id where c.clinic_id <> r.clinic_id"
        ).scalar_one()
    assert wrong == 0
