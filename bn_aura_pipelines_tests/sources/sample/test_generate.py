"""The sample as a whole: one transaction, the same rows every time, nothing else overwritten."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.sample import generate as generating
from bn_aura_pipelines.sources.sample.generate import APPLICATION_TABLES, SampleRefused, SampleReport, generate
from bn_aura_pipelines.sources.sample.truth import SampleIdentity, existing_sample
from bn_aura_pipelines_tests.sources.sample.conftest import AS_OF, CUSTOMERS


def fingerprint(database: Database) -> dict[str, str]:
    """A hash of every row of every table, by table."""
    with database.begin() as connection:
        names = connection.execute(
            sqlalchemy.text(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_schema in ('public', 'aura_truth') and table_type = 'BASE TABLE'"
            )
        ).scalars()
        return {
            name: connection.execute(
                sqlalchemy.text(f"select coalesce(md5(string_agg(t::text, E'\\n' order by t::text)), '') from {name} t")
            ).scalar_one()
            for name in names.all()
        }


def test_the_report_counts_what_every_table_holds(sample: tuple[Database, SampleReport]) -> None:
    database, report = sample
    with database.begin() as connection:
        for table in APPLICATION_TABLES:
            rows = connection.execute(sqlalchemy.text(f"select count(*) from public.{table}")).scalar_one()
            assert report.rows[table] == rows > 0, table
    assert report.rows["customers"] == CUSTOMERS
    assert 0.8 < report.rows["sales_leads"] / CUSTOMERS < 1.2
    assert 1.1 < report.rows["customer_conversations"] / CUSTOMERS < 1.9


def test_the_same_arguments_give_the_same_bytes(sampled: Database, database: Database) -> None:
    generate(database, CUSTOMERS, AS_OF)
    assert fingerprint(database) == fingerprint(sampled)


def test_another_seed_gives_another_sample(sampled: Database, database: Database) -> None:
    generate(database, CUSTOMERS, AS_OF, seed=7)
    ours, theirs = fingerprint(database), fingerprint(sampled)
    assert ours["public.customers"] != theirs["public.customers"]
    assert ours["public.appointments"] != theirs["public.appointments"]


def test_generating_again_changes_nothing_and_says_so(sample: tuple[Database, SampleReport]) -> None:
    database, first = sample
    before = fingerprint(database)
    lines: list[str] = []
    again = generate(database, CUSTOMERS, AS_OF, progress=lines.append)
    assert again.existing and not first.existing
    assert again.rows == first.rows
    assert any("already" in line for line in lines)
    assert fingerprint(database) == before


def test_the_sample_present_can_be_asked_for(sampled: Database, database: Database) -> None:
    with sampled.begin() as connection:
        assert existing_sample(connection) == SampleIdentity(CUSTOMERS, AS_OF, 20250101)
    with database.begin() as connection:
        assert existing_sample(connection) is None


def test_other_parameters_are_refused_while_a_sample_is_there(sampled: Database) -> None:
    for customers, as_of, seed in (
        (300, AS_OF, 20250101),
        (CUSTOMERS, AS_OF - timedelta(1), 20250101),
        (CUSTOMERS, AS_OF, 3),
    ):
        with pytest.raises(SampleRefused, match="already holds a sample of 400 customers"):
            generate(sampled, customers, as_of, seed)


def test_a_database_with_other_clinics_is_refused_and_left_alone(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("insert into clinics (clinic_code) values ('REAL')"))
    with pytest.raises(SampleRefused, match="BN_AURA_HOME"):
        generate(database, CUSTOMERS, AS_OF)
    with database.begin() as connection:
        assert connection.execute(sqlalchemy.text("select to_regnamespace('aura_truth')")).scalar_one() is None
        assert connection.execute(sqlalchemy.text("select count(*) from customers")).scalar_one() == 0


def test_a_failure_late_in_the_work_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(generating, "write_truth", fails)
    with pytest.raises(RuntimeError):
        generate(database, 60, AS_OF)
    with database.begin() as connection:
        assert connection.execute(sqlalchemy.text("select count(*) from clinics")).scalar_one() == 0
        assert existing_sample(connection) is None


def test_too_few_or_too_many_customers_are_refused(database: Database) -> None:
    for customers in (0, 49, 1_000_000):
        with pytest.raises(SampleRefused, match="ask for 50 to"):
            generate(database, customers, AS_OF)
