"""Watches the vectors: how complete they are, day by day, and what must never be true of them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import LiteralString

import sqlalchemy

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings.ledger import APPLICATION_COLUMNS
from bn_aura_pipelines.embeddings.providers import DIMENSIONS, Entity

# A fill in progress, or one that ended at its budget, is below it; rows that were given up are as well.
LEAST_COVERAGE = 0.99
STALE_HOURS = 1
# halfvec keeps about three digits of each number.
MOST_OFF_LENGTH = 0.01
DAYS = 90
COLORS = {"done": "#2563eb", "waiting": "#f59e0b", "dead": "#dc2626"}


@dataclass(frozen=True)
class Finding:
    """One check: whether all is well, and what was found in words."""

    passed: bool
    description: str


CHECKS = {
    "coverage": f"At least {LEAST_COVERAGE:.0%} of the rows have the vector that their text asks for.",
    "freshness": "No row has waited for its vector for more than an hour.",
    "length": "Every vector has length 1.",
    "dimension": f"The tables' and the application's vectors have {DIMENSIONS} numbers.",
    "duplicates": "No row has two vectors of one model.",
}


def note_coverage(connection: sqlalchemy.Connection, entity: Entity, model: str) -> None:
    """Keep how complete this entity's vectors are on the run's day; the same again writes nothing."""
    psycopg_connection(connection).execute(NOTE, {"entity": entity, "model": model})


def findings(connection: sqlalchemy.Connection, entity: Entity, model: str) -> dict[str, Finding]:
    """The result of each of CHECKS for one entity and model."""
    driver = psycopg_connection(connection)
    table, column = APPLICATION_COLUMNS[entity]
    values = {
        "entity": entity,
        "model": model,
        "hours": STALE_HOURS,
        "off": MOST_OFF_LENGTH,
        "dimensions": DIMENSIONS,
        "table": table,
        "column": column,
    }
    done, waiting, dead, stale = driver.execute(LEDGER, values).fetchone() or (0, 0, 0, 0)
    off, twice = driver.execute(VECTORS, values).fetchone() or (0, 0)
    wrong = [row[0] for row in driver.execute(DIMENSION, values)]
    known = done + waiting + dead
    share = done / known if known else 1.0
    return {
        "coverage": Finding(
            share >= LEAST_COVERAGE, f"{share:.1%} of {known:,} rows; {waiting:,} wait, {dead:,} were given up."
        ),
        "freshness": Finding(stale == 0, f"{stale:,} rows have waited for more than {STALE_HOURS} h."),
        "length": Finding(off == 0, f"{off:,} vectors have another length than 1."),
        "dimension": Finding(not wrong, f"Of another dimension: {', '.join(wrong) or 'none'}."),
        "duplicates": Finding(twice == 0, f"{twice:,} rows have more than one vector of {model}."),
    }


def coverage_plot(connection: sqlalchemy.Connection, entity: Entity, model: str) -> str:
    """Rows done, waiting and given up on each day of the last ninety, as Markdown with a PNG inside."""
    from matplotlib.figure import Figure

    values = {"entity": entity, "model": model, "days": DAYS}
    rows = psycopg_connection(connection).execute(HISTORY, values).fetchall()
    if not rows:
        return "No sync yet."
    figure = Figure(figsize=(7, 2.2), dpi=70, layout="constrained")
    axes = figure.subplots()
    days = [row[0] for row in rows]
    below = [0] * len(rows)
    for place, (name, color) in enumerate(COLORS.items(), 1):
        heights = [row[place] for row in rows]
        axes.bar(days, heights, width=0.8, bottom=below, color=color, label=name)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=8, colors="#64748b", length=0)
    ticks = days[:: max(1, len(days) // 6)]
    axes.set_xticks(ticks, [f"{day:%d %b}" for day in ticks])
    axes.set_ylim(0, max(below) * 1.25 + 1)
    axes.legend(fontsize=7, frameon=False, labelcolor="#64748b", ncols=3, loc="upper left")
    axes.set_title(f"Vectors of {entity}s by day ({model})", fontsize=10, color="#64748b")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return f"![coverage by day](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"


NOTE: LiteralString = """
insert into aura_ops.embedding_coverage as known (entity, model, day, done, waiting, dead)
select
    %(entity)s,
    %(model)s,
    aura_ops.bangkok_day(aura_ops.as_of()),
    count(*) filter (where l.status = 'done'),
    count(*) filter (where l.status in ('pending', 'leased')),
    count(*) filter (where l.status = 'dead')
from aura_ops.embedding_ledger as l
where l.entity = %(entity)s and l.model = %(model)s
on conflict (entity, model, day) do update
set done = excluded.done, waiting = excluded.waiting, dead = excluded.dead
where (known.done, known.waiting, known.dead) is distinct from (excluded.done, excluded.waiting, excluded.dead)
"""

LEDGER: LiteralString = """
select
    count(*) filter (where status = 'done'),
    count(*) filter (where status in ('pending', 'leased')),
    count(*) filter (where status = 'dead'),
    count(*) filter (
        where status in ('pending', 'leased') and stale_since < clock_timestamp() - make_interval(hours => %(hours)s)
    )
from aura_ops.embedding_ledger
where entity = %(entity)s and model = %(model)s
"""

VECTORS: LiteralString = """
with counted as (
    select
        entity_id,
        count(*) as vectors,
        count(*) filter (where abs(l2_norm(embedding) - 1) > %(off)s) as off
    from aura_ops.embeddings
    where entity = %(entity)s and model = %(model)s
    group by entity_id
)

select coalesce(sum(off), 0)::int, count(*) filter (where vectors > 1) from counted
"""

# The modifier of a vector's type is its dimension; -1 takes any.
DIMENSION: LiteralString = """
select format('%%s.%%s', c.relname, a.attname)
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid
join pg_namespace as n on n.oid = c.relnamespace
where a.atttypmod <> %(dimensions)s and (
    (n.nspname = 'aura_ops' and c.relname in ('embeddings', 'embedding_cache') and a.attname = 'embedding')
    or (n.nspname = 'public' and c.relname = %(table)s and a.attname = %(column)s)
)
order by 1
"""

HISTORY: LiteralString = """
select day, done, waiting, dead
from aura_ops.embedding_coverage
where entity = %(entity)s and model = %(model)s
    and day > aura_ops.bangkok_day(aura_ops.as_of()) - %(days)s
    and day <= aura_ops.bangkok_day(aura_ops.as_of())
order by day
"""
