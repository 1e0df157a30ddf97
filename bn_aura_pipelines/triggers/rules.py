"""The rules: read, saved from a file, switched on and off. What no rule may be is refused by the database itself.

What a rule decides is in `evaluation`; its templates are rendered in `rendering`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import sqlalchemy
from psycopg import sql
from sqlalchemy import text

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.triggers.rendering import LANGUAGES, check_template, read_template


class RuleRefused(UserError):
    """A rule makes no sense, or there is none of that name."""


@dataclass(frozen=True)
class Rule:
    """A row of `aura_ops.trigger_rules`, with the code of its clinic; none: it is for all."""

    rule: str
    clinic_code: str | None
    metric: str
    operator: str
    threshold: float
    hysteresis: float
    cooldown: timedelta
    priority: int
    audience: str
    action: str
    purpose: str
    template: str
    quiet_from: time
    quiet_until: time
    expires_after: timedelta
    holdout_share: float
    dry_run: bool
    is_active: bool
    description: str


DAYS = {"cooldown_days": "cooldown", "expires_after_days": "expires_after"}
COLUMNS: tuple[LiteralString, ...] = (
    "metric",
    "operator",
    "threshold",
    "hysteresis",
    "cooldown",
    "priority",
    "audience",
    "action",
    "purpose",
    "template",
    "quiet_from",
    "quiet_until",
    "expires_after",
    "holdout_share",
    "dry_run",
    "is_active",
    "description",
)
READ = f"""
    select r.rule, c.clinic_code, {", ".join(f"r.{column}" for column in COLUMNS)}
    from aura_ops.trigger_rules as r
    left join public.clinics as c on r.clinic_id = c.id
    where (cast(:rule as text) is null or r.rule = :rule)
    order by r.priority desc, r.rule, c.clinic_code nulls first
"""


def read_rules(connection: sqlalchemy.Connection, rule: str | None = None) -> list[Rule]:
    """All rules, or every version of one. Raises RuleRefused where there is none of that name."""
    rules = [Rule(**row) for row in connection.execute(text(READ), {"rule": rule}).mappings()]
    if rule is not None and not rules:
        raise RuleRefused(f"There is no rule {rule}: `bn-aura rules list` shows them.")
    return rules


def switch(connection: sqlalchemy.Connection, rule: str, on: bool, clinic_code: str | None = None) -> None:
    """Switch a rule on or off, in one clinic or where it is for all. Raises RuleRefused, also where a rule that is
    switched on has no usable template."""
    versions = [one for one in read_rules(connection, rule) if one.clinic_code == clinic_code]
    if clinic_code is not None and not versions:
        general = read_rules(connection, rule)[0]
        connection.execute(
            text(
                f"insert into aura_ops.trigger_rules (rule, clinic_id, {', '.join(COLUMNS)})"
                f" select rule, :clinic, {', '.join(COLUMNS)} from aura_ops.trigger_rules"
                " where rule = :rule and clinic_id is null"
            ),
            {"rule": rule, "clinic": clinic_id(connection, clinic_code)},
        )
        versions = [general]
    if on:
        for one in versions:
            check_rendering(connection, one.template, one.action == "send_email")
    connection.execute(
        text(
            "update aura_ops.trigger_rules set is_active = :on where rule = :rule and is_active <> :on"
            " and clinic_id is not distinct from (select id from public.clinics where clinic_code = :code)"
        ),
        {"rule": rule, "on": on, "code": clinic_code},
    )


def save(connection: sqlalchemy.Connection, path: Path) -> Rule:
    """Save the rule of a TOML file, with its templates where it brings any. Raises RuleRefused and TemplateRefused.

    Names are the columns', with `cooldown_days` and `expires_after_days` in days; `clinic` is a clinic's code; a table
    `[templates]` maps `th` and `en` to Jinja sources. What is left out keeps its value, or gets the default.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleRefused(f"{path} is no rule in TOML: {error}") from error
    name, clinic, templates = content.pop("rule", None), content.pop("clinic", None), content.pop("templates", {})
    values = {DAYS.get(key, key): timedelta(days=value) if key in DAYS else value for key, value in content.items()}
    unknown = sorted(values.keys() - set(COLUMNS)) + sorted(set(templates) - set(LANGUAGES))
    if not isinstance(name, str) or unknown:
        wrong = f"unknown {', '.join(unknown)}" if unknown else "`rule`, its name, is missing"
        raise RuleRefused(f"{path}: {wrong}; known are rule, clinic, templates, {', '.join(COLUMNS)}.")
    _write(connection, name, None if clinic is None else clinic_id(connection, clinic), values)
    rule = next(one for one in read_rules(connection, name) if one.clinic_code == clinic)
    for language, source in templates.items():
        check_template(rule.template, source, rule.action == "send_email", treatment_names(connection))
        connection.execute(
            text(
                "insert into aura_ops.trigger_templates values (:template, :language, :source)"
                " on conflict (template, language) do update set source = excluded.source"
            ),
            {"template": rule.template, "language": language, "source": source},
        )
    check_rendering(connection, rule.template, rule.action == "send_email")
    return rule


def check_rendering(connection: sqlalchemy.Connection, template: str, is_letter: bool) -> None:
    """Raises TemplateRefused unless the template can be used in every language."""
    for language in LANGUAGES:
        source = read_template(connection, template, language)
        check_template(template, source, is_letter, treatment_names(connection))


def treatment_names(connection: sqlalchemy.Connection) -> frozenset[str]:
    """Names of the catalogue in lower case; very short ones are left out, they are parts of other words."""
    names = connection.execute(
        text(
            "select distinct lower(n.value) from public.treatments as t, jsonb_each_text(t.names) as n where"
            " jsonb_typeof(t.names) = 'object' and length(n.value) > 3"
        )
    )
    return frozenset(names.scalars())


def clinic_id(connection: sqlalchemy.Connection, code: str) -> UUID:
    """The clinic of that code. Raises RuleRefused."""
    found = connection.execute(text("select id from public.clinics where clinic_code = :code"), {"code": code}).scalar()
    if found is None:
        raise RuleRefused(f"There is no clinic {code}: `bn-aura sql 'select clinic_code from clinics'` lists them.")
    return found


def _write(connection: sqlalchemy.Connection, rule: str, clinic: UUID | None, values: Mapping[str, Any]) -> None:
    driver = psycopg_connection(connection)
    known = connection.execute(
        text(
            "select exists (select from aura_ops.trigger_rules where rule = :rule and clinic_id is not distinct from"
            " cast(:clinic as uuid))"
        ),
        {"rule": rule, "clinic": clinic},
    ).scalar_one()
    names = [sql.Identifier(name) for name in values]
    parameters = [*values.values(), rule, clinic]
    if known:
        if not values:
            return
        assignments = sql.SQL(", ").join(sql.SQL("{} = %s").format(name) for name in names)
        query = sql.SQL(
            "update aura_ops.trigger_rules set {} where rule = %s and clinic_id is not distinct from %s"
        ).format(assignments)
    else:
        query = sql.SQL("insert into aura_ops.trigger_rules ({}) values ({})").format(
            sql.SQL(", ").join([*names, sql.Identifier("rule"), sql.Identifier("clinic_id")]),
            sql.SQL(", ").join([sql.Placeholder()] * len(parameters)),
        )
    try:
        with driver.transaction():
            driver.execute(query, parameters)
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError, psycopg.errors.DatatypeMismatch) as error:
        said = (error.diag.message_primary or "").removeprefix(f"rule {rule}: ")
        raise RuleRefused(f"rule {rule} is refused: {said}.") from error
