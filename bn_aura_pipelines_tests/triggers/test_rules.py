"""Rules: what makes no sense is refused with the reason; a clinic may have its own; a rehearsal keeps nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from click.testing import CliRunner

from bn_aura_pipelines.cli import cli
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import get_settings
from bn_aura_pipelines.triggers.rehearsing import rehearse
from bn_aura_pipelines.triggers.rules import read_rules, save, switch
from bn_aura_pipelines_tests.triggers.conftest import NOON, execute, rows
from bn_aura_pipelines_tests.triggers.test_consent_matrix import ANNA, PERSON, decide

RULE = """
rule = "long-silence"
metric = "days_since_visit"
operator = ">="
threshold = 200
hysteresis = 50
audience = "customer"
action = "send_email"
purpose = "marketing"
template = "long-silence"
cooldown_days = 90
description = "No visit for 200 days."
[templates]
th = '''{% block subject %}สวัสดีค่ะ{% endblock %}
{% block html %}<p>{{ customer_name }}</p>{% endblock %}{% block text %}{{ customer_name }}{% endblock %}'''
en = '''{% block subject %}Hello{% endblock %}
{% block html %}<p>{{ customer_name }}</p>{% endblock %}{% block text %}{{ customer_name }}{% endblock %}'''
"""


def saved(database: Database, folder: Path, content: str) -> None:
    path = folder / "rule.toml"
    path.write_text(content, "utf-8")
    with database.begin() as connection:
        save(connection, path)


def test_a_rule_of_ones_own_is_saved_with_its_templates_and_changed_by_naming_what_changes(
    clinic: Database, tmp_path: Path
) -> None:
    saved(clinic, tmp_path, RULE)
    saved(clinic, tmp_path, 'rule = "long-silence"\nthreshold = 250')
    with clinic.begin() as connection:
        (rule,) = read_rules(connection, "long-silence")
    assert (rule.threshold, rule.hysteresis, rule.cooldown.days) == (250, 50, 90)


@pytest.mark.parametrize(
    ("wrong", "right", "reason"),
    [
        ("threshold = 1000", "threshold = 200", "threshold of 1000 can never be reached"),
        ("threshold = -1", "threshold = 200", "days_since_visit lies between 0 and 365"),
        ("hysteresis = 5000", "hysteresis = 50", "an episode would never end"),
        ('metric = "shoe_size"', 'metric = "days_since_visit"', "there is no metric shoe_size; there are churn_score"),
        ('metric = "hours_unanswered"', 'metric = "days_since_visit"', "about a lead, which cannot be written to"),
        ('audience = "clinic_owners"', 'audience = "customer"', "e-mails go to customers"),
        ('operator = "=="', 'operator = ">="', "operator"),
        ('threshold = "high"', "threshold = 200", "is refused"),
        ("thresold = 5", "threshold = 200", "unknown thresold"),
        ('clinic = "NOWHERE"\nthreshold = 5', "threshold = 200", "There is no clinic NOWHERE"),
        ("threshold = ", "threshold = 200", "is no rule in TOML"),
        ('template = "missing"\ntemplates = {}', 'template = "long-silence"', "is no rule in TOML"),
        ("{{ customer_nam }}", "{{ customer_name }}", "unknown variable customer_nam; known are clinic_name"),
        ("{{ customer_name", "{{ customer_name }}", "template long-silence"),
        ("{{ 1 / 0 }}", "{{ customer_name }}", "cannot be rendered"),
        ("Botox for you", "Hello", "'Botox' in the subject reveals"),
        ("โปรฉีดหน้าใส", "สวัสดีค่ะ", "in the subject reveals"),
        ("Glow Supreme offer", "Hello", "'glow supreme' in the subject reveals"),
        ("Dear {{ customer_name }}", "Hello", "the subject holds a variable"),
        ("{% block title %}", "{% block subject %}", "block subject is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    clinic: Database, tmp_path: Path, wrong: str, right: str, reason: str
) -> None:
    execute(
        clinic,
        "insert into public.treatments (names, created_at)"
        " values (jsonb_build_object('en', 'Glow Supreme'), '2025-01-01')",
    )
    with pytest.raises(UserError, match=reason):
        saved(clinic, tmp_path, RULE.replace(right, wrong))
    assert rows(clinic, "select count(*) from aura_ops.trigger_rules where rule = 'long-silence'") == [(0,)]


def test_a_clinics_own_version_replaces_the_general_one_there(clinic: Database, tmp_path: Path) -> None:
    with clinic.begin() as connection:
        switch(connection, "inactivity", on=False, clinic_code="A")
    query = (
        "select clinic_code, r.is_active from aura_ops.rules_by_clinic r join public.clinics c on c.id = r.clinic_id"
        " where rule = 'inactivity' order by 1"
    )
    assert rows(clinic, query) == [("A", False), ("B", True)]
    with clinic.begin() as connection:
        switch(connection, "inactivity", on=True, clinic_code="A")
    assert rows(clinic, query) == [("A", True), ("B", True)]


def test_a_rehearsal_says_who_would_get_what_and_keeps_nothing(clinic: Database) -> None:
    execute(clinic, PERSON, anna=ANNA)
    decide(clinic)
    execute(
        clinic,
        "delete from aura_ops.outbox; delete from aura_ops.trigger_events;"
        " update aura_ops.trigger_rules set is_active = false",
    )
    with clinic.begin(NOON) as connection:
        found = rehearse(connection, "inactivity")
        assert found.decisions == [("eligible", None, 1)] and found.subjects == 1
        assert found.examples == [("customer", str(ANNA), 200.0, [f"customer {ANNA}"])]
    execute(clinic, "update public.customer_preferences set do_not_contact = true")
    with clinic.begin(NOON) as connection:
        assert rehearse(connection, "inactivity").decisions == [("suppressed", "asked not to be contacted", 1)]
        connection.execute(
            sqlalchemy.text("update aura_ops.trigger_rules set threshold = 300 where rule = 'inactivity'")
        )
        assert rehearse(connection, "inactivity").not_due == [("the threshold is not reached", 1)]
    assert rows(clinic, "select count(*) from aura_ops.trigger_events") == [(0,)]
    assert rows(clinic, "select count(*) from aura_ops.trigger_rules where is_active") == [(0,)]


def test_the_commands_work(clinic: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BN_AURA_DATABASE_URL", clinic.url.render_as_string(hide_password=False))
    get_settings.cache_clear()
    page = tmp_path / "letter.html"
    try:
        for words, said in (
            (["rules", "list"], "hot-lead-alert"),
            (["rules", "show", "inactivity"], "days_since_visit"),
            (["rules", "test", "inactivity"], "0 subjects have a value"),
            (["rules", "enable", "inactivity", "--off"], "is off in all clinics"),
            (["rules", "preview", "inactivity", "--language", "en", "--html", str(page)], "Our door is always open"),
            (["rules", "preview", "hot-lead-alert"], "80 %"),
            (["rules", "stop", "a wrong letter"], "stopped"),
            (["deliver"], "stopped: a wrong letter"),
            (["rules", "resume"], "goes on"),
            (["deliver"], "BN_AURA_SEND=dry"),
        ):
            result = CliRunner().invoke(cli, words)
            assert result.exit_code == 0 and said in result.output, result.output
    finally:
        get_settings.cache_clear()
    assert "<html" in page.read_text("utf-8")
