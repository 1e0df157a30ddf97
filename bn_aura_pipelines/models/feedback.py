"""What people said about scores, as weights of training rows. All of it together is the mart `score_feedback`; labels
are never changed by an opinion.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

# A case that somebody looked at counts twice, one that the model got wrong three times: those are what it misses.
RIGHT, WRONG = 2.0, 3.0
WEIGHT = f"case f.was_right when true then {RIGHT} when false then {WRONG} else 1.0 end"

# The last answer about each customer and snapshot: an answer is about the latest snapshot before it.
ABOUT_SNAPSHOTS = """
    select distinct on (f.subject_id, m.told_at) f.subject_id, m.told_at, f.was_right
    from aura_ops.score_feedback as f
    cross join lateral (
        select max(snapshot_at) as told_at from aura_features.snapshot_moments where snapshot_at <= f.given_at
    ) as m
    where f.model = 'churn' and f.given_at < aura_ops.as_of()
    order by f.subject_id, m.told_at, f.given_at desc, f.feedback_id
"""

# The last answer about each lead.
ABOUT_LEADS = """
    select distinct on (subject_id) subject_id, was_right
    from aura_ops.score_feedback
    where model = 'lead' and given_at < aura_ops.as_of()
    order by subject_id, given_at desc, feedback_id
"""


@dataclass(frozen=True)
class Feedback:
    """Answers about one model's scores up to the run's moment."""

    answers: int
    right: int

    def __str__(self) -> str:
        return f"{self.right} of {self.answers} answers found the score right" if self.answers else "nobody answered"


def read_feedback(connection: sqlalchemy.Connection, model: str) -> Feedback:
    """How many answers there are, and how many found the score right."""
    row = connection.execute(
        text(
            "select count(*), count(*) filter (where was_right) from aura_ops.score_feedback"
            " where model = :model and given_at < aura_ops.as_of()"
        ),
        {"model": model},
    ).one()
    return Feedback(*row)
