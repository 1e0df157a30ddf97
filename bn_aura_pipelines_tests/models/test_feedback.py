"""What people say about scores: it weighs in training, changes no label, and is counted for each clinic."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.churn import candidates
from bn_aura_pipelines.models.churn.training import read_rows, train
from bn_aura_pipelines.models.feedback import read_feedback
from bn_aura_pipelines.models.leads.candidates import fit_all
from bn_aura_pipelines.models.leads.fields import column_of, learn_field
from bn_aura_pipelines.models.leads.training import read_rows as read_leads
from bn_aura_pipelines_tests.models.conftest import AS_OF
from bn_aura_pipelines_tests.models.leads.leadbook import START, draw_leads, lead_id, open_clinic, write_leads


def answer(
    database: Database, model: str, subject: str, right: bool, given_at: datetime, version: int | None = 1
) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into aura_ops.score_feedback (clinic_id, model, subject_id, model_version, score, was_right,"
                " given_at) values (cast(:clinic as uuid), :model, cast(:subject as uuid), :version, 60, :right, :at)"
            ),
            {
                "clinic": "00000000-0000-0000-0000-000000000001",
                "model": model,
                "subject": subject,
                "version": version,
                "right": right,
                "at": given_at,
            },
        )


def test_a_customer_whose_score_was_wrong_weighs_thrice_at_the_snapshot_it_was_about(
    featured: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "XGBOOST_ROUNDS", 5)
    with featured.begin(AS_OF) as connection:
        before, first = read_rows(connection), train(connection)
    assert set(before.train["weight"].tolist()) == {1.0}
    row = before.train.iloc[len(before.train) // 2]
    shown = row["snapshot_at"].to_pydatetime()
    answer(featured, "churn", row["customer_id"], True, shown + timedelta(days=1))
    answer(featured, "churn", row["customer_id"], False, shown + timedelta(days=2))
    answer(featured, "churn", before.train["customer_id"].iloc[0], False, AS_OF + timedelta(days=1))  # not yet
    with featured.begin(AS_OF) as connection:
        after, second = read_rows(connection), train(connection)
        assert str(read_feedback(connection, "churn")) == "1 of 2 answers found the score right"
        assert str(read_feedback(connection, "lead")) == "nobody answered"
    told = after.train[after.train["weight"] != 1]
    assert [(r.customer_id, r.snapshot_at, r.weight) for r in told.itertuples()] == [
        (row["customer_id"], row["snapshot_at"], 3.0)
    ]
    assert (after.train["churned"] == before.train["churned"]).to_numpy().all()
    assert second.new and second.version == first.version + 1


def test_a_heavier_row_counts_as_that_many_rows(database: Database) -> None:
    open_clinic(database)
    write_leads(database, draw_leads(120, 5))
    answer(database, "lead", lead_id(7), True, START + timedelta(days=190))
    answer(database, "lead", lead_id(8), False, START + timedelta(days=190))
    with database.begin(START + timedelta(days=200)) as connection:
        rows = read_leads(connection).known_at(float("inf"))
    heavy = {lead: weight for lead, weight in zip(rows.ids.tolist(), rows.weights.tolist(), strict=True) if weight > 1}
    assert heavy == {lead_id(7): 2.0, lead_id(8): 3.0}
    fields = [f for f in [learn_field(column_of(rows.values, "metadata.attributes.budgetPoints"))] if f]
    clinics = rows.clinics.tolist()
    weighed = fit_all(rows.values, rows.won, clinics, fields, boosted=False, weights=rows.weights)[-1]
    plain = fit_all(rows.values, rows.won, clinics, fields, boosted=False)[-1]
    assert weighed.coefficients != plain.coefficients
    ones = fit_all(rows.values, rows.won, clinics, fields, boosted=False, weights=np.ones(len(rows.won)))[-1]
    assert ones == plain


def test_answers_are_counted_for_each_version_up_to_the_moment(database: Database) -> None:
    for right, days, version in ((True, 1, 1), (False, 2, 1), (True, 3, None), (True, 50, 1)):
        answer(database, "churn", lead_id(days), right, START + timedelta(days=days), version)
    with database.begin(START + timedelta(days=10)) as connection:
        build(connection, [get_view("aura_marts.score_feedback")])
        rows = connection.execute(
            text("select model_version, answers, right_share from aura_marts.score_feedback order by model_version")
        ).all()
    assert rows == [(0, 1, 1.0), (1, 2, 0.5)]
