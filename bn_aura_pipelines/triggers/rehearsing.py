"""Shows what a rule would decide now, and takes everything back. How rules decide is in `evaluation`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines.triggers.metrics import VALUES
from bn_aura_pipelines.triggers.rules import RuleRefused, read_rules


@dataclass(frozen=True)
class Rehearsal:
    """What a rule would decide: subjects with a value, why some are not due, decisions by status and reason, and some
    examples (type and id of the subject, value, types and ids of the recipients)."""

    subjects: int
    not_due: list[tuple[str, int]]
    decisions: list[tuple[str, str | None, int]]
    examples: list[tuple[str, str, float, list[str]]]


def rehearse(connection: sqlalchemy.Connection, rule: str) -> Rehearsal:
    """Decide by one rule as if it were switched on, and take everything back. Raises RuleRefused."""
    read_rules(connection, rule)
    savepoint = connection.begin_nested()
    try:
        connection.execute(text("update aura_ops.trigger_rules set is_active = (rule = :rule)"), {"rule": rule})
        if evaluate(connection).skipped:
            raise RuleRefused("A later moment was decided already: nothing can be rehearsed about this one.")
        values = {"rule": rule}
        subjects = connection.execute(text(SUBJECTS), values).scalar_one()
        not_due = [(row[0], row[1]) for row in connection.execute(text(NOT_DUE), values | {"subjects": subjects})]
        decisions = [(row[0], row[1], row[2]) for row in connection.execute(text(DECISIONS), values)]
        examples = [(row[0], str(row[1]), row[2], list(row[3])) for row in connection.execute(text(EXAMPLES), values)]
        return Rehearsal(subjects, [one for one in not_due if one[1]], decisions, examples)
    finally:
        savepoint.rollback()


SUBJECTS = f"""
    with {VALUES}

    select count(*) from readings as v
    inner join aura_ops.rules_by_clinic as r on r.metric = v.metric and r.clinic_id = v.clinic_id
    where r.rule = :rule
"""

NOT_DUE = """
    with passed as (
        select count(*) filter (where has_passed) as passed, count(*) as near from standing where rule = :rule
    ),

    due_now as (
        select count(*) as due from decisions where rule = :rule
    ),

    lasting as (
        select count(*) as lasting
        from standing as s
        inner join aura_ops.trigger_events as e on s.rule = e.rule and s.subject_id = e.subject_id
        where s.rule = :rule and s.has_passed and e.ended_at is null and e.decided_at < aura_ops.as_of()
    )

    select 'the threshold is not reached', cast(:subjects as bigint) - passed from passed
    union all
    select 'told or decided already, the episode lasts', lasting from lasting
    union all
    select 'the cooldown is not over', passed - due - lasting from passed, due_now, lasting
"""

DECISIONS = """
    select status, case when status = 'suppressed' then reason end, count(*)
    from aura_ops.trigger_events
    where rule = :rule and decided_at = aura_ops.as_of()
    group by 1, 2
    order by 3 desc, 1, 2
"""

EXAMPLES = """
    select e.subject_type, e.subject_id, e.value, array_agg(o.recipient_type || ' ' || o.recipient_id)
    from aura_ops.trigger_events as e
    inner join aura_ops.outbox as o on e.event_id = o.event_id
    where e.rule = :rule and e.decided_at = aura_ops.as_of()
    group by e.event_id
    order by e.value desc, e.event_id
    limit 5
"""
