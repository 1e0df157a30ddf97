"""Each reason against telling somebody × each rule, arising before the decision, before sending, or after."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.triggers.delivery import deliver
from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines_tests.triggers.conftest import CLINIC, NOON, customer, execute, live, rows
from bn_aura_pipelines_tests.triggers.stub import Stub

ANNA = customer(1)
LETTERS = {"churn-prevention-email", "inactivity", "repeat_due"}
STAFF = {"hot-lead-alert", "churn-risk-warning", "negative_conversation", "hot_lead_unanswered"}

# One customer about whom every rule has something to say, with consent to everything.
PERSON = """
    delete from public.customer_preferences; delete from public.customers;
    insert into public.customers (id, clinic_id, user_id, full_name, email, assigned_sales_id, created_at)
        values (:anna, :clinic, :owner, 'Anna', 'anna@example.com', :seller, '2025-01-01');
    insert into public.customer_preferences (
        customer_id, clinic_id, marketing_opt_in, max_weekly_contacts, max_monthly_contacts, created_at
    ) values (:anna, :clinic, true, 9, 9, '2025-01-01');
    insert into public.sales_leads (id, clinic_id, customer_id, name, email, sales_user_id, created_at, updated_at)
        values (:anna, :clinic, :anna, 'Anna', 'anna@example.com', :seller, '2026-02-01', '2026-02-01');
    insert into public.customer_conversations (id, clinic_id, customer_id, sales_staff_id, messages, created_at)
        values (:anna, :clinic, :anna, :seller, '[{"role": "customer", "content": "bad", "timestamp":
        "2026-03-01T10:00:00+07:00"}]', '2026-03-01');
    insert into aura_ops.conversation_analysis (
        conversation_id, clinic_id, status, overall_sentiment, confidence, p_negative, p_positive, language, provider,
        model_version, content_hash
    ) values (:anna, :clinic, 'analysed', 'negative', 0.9, 0.9, 0.05, 'en', 'lexicon', 0, '');
    update aura_ops.trigger_rules set holdout_share = 0
"""

# What is done, the reason it is recorded as, and the rules that it concerns.
REASONS = {
    "blacklisted": ("update public.customers set status = 'blacklisted'", "blacklisted", LETTERS | STAFF),
    "deletion": (
        "insert into public.data_deletion_requests (user_id, request_type) values (:owner, 'full_deletion')",
        "asked for their data to be deleted",
        LETTERS | STAFF,
    ),
    "do not contact": (
        "update public.customer_preferences set do_not_contact = true",
        "asked not to be contacted",
        LETTERS | STAFF,
    ),
    "no address": ("update public.customers set email = ' '", "no e-mail address", LETTERS),
    "malformed": ("update public.customers set email = 'anna@'", "malformed e-mail address", LETTERS),
    "bounced": (
        "insert into aura_ops.email_suppressions values (sha256('anna@example.com'), null, 'bounced', '2026-03-01')",
        "e-mail bounced",
        LETTERS,
    ),
    "complained": (
        "insert into aura_ops.email_suppressions values (sha256('anna@example.com'), null, 'complained', '2026-03-01')",
        "complained about e-mail",
        LETTERS,
    ),
    "unsubscribed": (
        "insert into public.email_unsubscribes (clinic_id, email, unsubscribed_at)"
        " values (:clinic, 'Anna@example.com', '2026-03-01')",
        "unsubscribed from e-mail",
        LETTERS,
    ),
    "unsubscribed by link": (
        "insert into aura_ops.email_suppressions values"
        " (sha256('anna@example.com'), :clinic, 'unsubscribed', '2026-03-01')",
        "unsubscribed from e-mail",
        LETTERS,
    ),
    "opted out": (
        "update public.customer_preferences set marketing_opt_in = false",
        "no consent to marketing on record",
        LETTERS,
    ),
    "consent revoked": (
        "insert into public.consent_records (user_id, consent_type, consent_given, revoked_at)"
        " values (:owner, 'marketing', true, '2026-03-01')",
        "consent to marketing withdrawn",
        LETTERS,
    ),
    "other channel": (
        "update public.customer_preferences set preferred_channels = '{line}'",
        "prefers another channel",
        LETTERS,
    ),
    "weekly cap": (
        "update public.customer_preferences set max_weekly_contacts = 0",
        "weekly cap over all rules reached",
        LETTERS,
    ),
    "monthly cap": (
        "update public.customer_preferences set max_monthly_contacts = 0",
        "monthly cap over all rules reached",
        LETTERS,
    ),
}


def prepare(database: Database) -> None:
    execute(database, PERSON, anna=ANNA)


def decide(database: Database) -> None:
    """Scores and a snapshot at which every rule's threshold is passed; then the decision."""
    with database.begin(NOON) as connection:
        for statement in (
            "delete from aura_features.customer_snapshots",
            "insert into aura_features.customer_snapshots (snapshot_at, clinic_id, customer_id, is_active,"
            " recency_days, tenure_days, visits, gap_mean_days, has_booking_ahead) values"
            " (aura_ops.as_of(), :clinic, :anna, true, 200, 400, 5, 60, 0)",
            "delete from aura_models.churn_scores",
            "insert into aura_models.churn_scores select :anna, :clinic, aura_ops.as_of(), 1, 0.9, 90, 'high', '', ''",
            "delete from aura_models.lead_scores",
            "insert into aura_models.lead_scores (lead_id, clinic_id, win_probability, win_low, win_high, score,"
            " category, confidence, completeness, reasons_en, reasons_th, model_version)"
            " values (:anna, :clinic, 0.9, 0.8, 0.95, 90, 'hot', 0.9, 1, '', '', 1)",
        ):
            values = {"anna": ANNA, "clinic": CLINIC}
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(sqlalchemy.text(statement), used)
        evaluate(connection)


def outcome(database: Database) -> dict[str, tuple[str, str | None]]:
    """By rule: whether it was decided and sent, with the reason where not."""
    found = rows(
        database,
        "select e.rule, coalesce(o.status, e.status), case when o.status is null then e.reason else o.reason end"
        " from aura_ops.trigger_events e left join aura_ops.outbox o using (event_id)",
    )
    return {rule: (status, reason) for rule, status, reason in found}


def test_with_consent_every_rule_tells_somebody(clinic: Database, stub: Stub) -> None:
    prepare(clinic)
    decide(clinic)
    deliver(clinic, live(stub.url), moment=NOON)
    assert outcome(clinic) == dict.fromkeys(LETTERS | STAFF, ("sent", None))
    assert len(stub.requests) == len(LETTERS)


@pytest.mark.parametrize("name", REASONS)
def test_what_stands_against_it_before_the_decision_is_recorded_and_nothing_leaves(
    clinic: Database, stub: Stub, name: str
) -> None:
    change, reason, concerned = REASONS[name]
    prepare(clinic)
    execute(clinic, change)
    decide(clinic)
    deliver(clinic, live(stub.url), moment=NOON)
    found = outcome(clinic)
    for rule in LETTERS | STAFF:
        if name == "blacklisted" and rule in LETTERS | {"churn-risk-warning"}:
            assert rule not in found  # who is blacklisted is no subject of a rule about customers
        elif rule in concerned:
            assert found[rule] == ("suppressed", reason)
        else:
            assert found[rule] == ("sent", None)
    assert len(stub.requests) == 0


@pytest.mark.parametrize("name", REASONS)
def test_what_arises_between_decision_and_sending_is_heeded_and_recorded(
    clinic: Database, stub: Stub, name: str
) -> None:
    change, reason, concerned = REASONS[name]
    prepare(clinic)
    decide(clinic)
    execute(clinic, change)
    deliver(clinic, live(stub.url), moment=NOON)
    found = outcome(clinic)
    for rule in LETTERS | STAFF:
        assert found[rule] == (("suppressed", reason) if rule in concerned else ("sent", None)), rule
    assert len(stub.requests) == 0


def test_what_arises_after_sending_changes_no_record_and_nothing_more_leaves(clinic: Database, stub: Stub) -> None:
    prepare(clinic)
    decide(clinic)
    deliver(clinic, live(stub.url), moment=NOON)
    for name in REASONS:
        execute(clinic, REASONS[name][0])
        deliver(clinic, live(stub.url), moment=NOON + timedelta(days=1))
    assert outcome(clinic) == dict.fromkeys(LETTERS | STAFF, ("sent", None))
    assert len(stub.requests) == len(LETTERS)
