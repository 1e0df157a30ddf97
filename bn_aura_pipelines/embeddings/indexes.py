"""HNSW indexes for the clinics that are too large to compare a query with each of their vectors.

Only partitions that hold such a clinic have one, and only of the model that readers use: an index makes writing a
hundred times as slow. Which way a search takes is decided in `legs`.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.providers import Entity

log = logging.getLogger(__name__)

LARGE = 25_000
"""Rows of a clinic from which on an index pays: comparing them all takes about 18 ms."""
SMALL_AGAIN = LARGE * 3 // 5
"""Below it an index goes again; in between it stays, so that a clinic at the edge does not build one every day."""
BYTES_A_ROW = 2_600
"""Memory that a build takes for a vector of 768 halves and its links; one that does not fit takes ten times as long."""
MOST_MEMORY_KB = 2 << 20


def keep_indexes(database: Database, entity: Entity, large: int = LARGE) -> list[str]:
    """Build the indexes that are missing and drop those that no clinic needs, or that are of a model that is no longer
    read; returns the names of those that stand.

    Readers and writers are not locked out. A build that was killed leaves an invalid index, which is built anew.
    """
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection
        if not driver.execute("select pg_try_advisory_lock(hashtext('bn_aura indexes'))").fetchone()[0]:
            return []  # another sync is at it
        try:
            return _keep(driver, entity, large)
        finally:
            driver.execute("select pg_advisory_unlock(hashtext('bn_aura indexes'))")


def _keep(driver: psycopg.Connection[Any], entity: Entity, large: int) -> list[str]:
    values = {"entity": entity, "large": large, "small": min(SMALL_AGAIN, large)}
    wanted = {}
    for partition, model, rows, clinics in driver.execute(LARGE_CLINICS, values):
        mark = hashlib.sha256(model.encode()).hexdigest()[:8]
        wanted[f"{partition}_{entity}_{mark}_hnsw"] = (partition, model, rows, clinics)
    standing = dict(driver.execute(STANDING, {"like": f"embeddings%{entity}%hnsw"}).fetchall())
    for name, valid in standing.items():
        if name not in wanted or not valid:
            driver.execute("delete from aura_ops.indexed_clinics where index_name = %s", (name,))
            driver.execute(sql.SQL("drop index concurrently aura_ops.{}").format(sql.Identifier(name)))
    for name, (partition, model, rows, clinics) in wanted.items():
        if not standing.get(name):
            log.info("indexing %s vectors for the search of %s large clinics", rows, len(clinics))
            driver.execute("select set_config('maintenance_work_mem', %s, false)", (_memory(rows),))
            build = sql.SQL(BUILD).format(
                name=sql.Identifier(name),
                partition=sql.Identifier("aura_ops", partition),
                entity=sql.Literal(entity),
                model=sql.Literal(model),
            )
            driver.execute(build)
            driver.execute("reset maintenance_work_mem")
        note = {"entity": entity, "model": model, "name": name, "clinics": clinics}
        driver.execute(NOTE, note)
        driver.execute(FORGET, note)
    return sorted(wanted)


def _memory(rows: int) -> str:
    return f"{min(max(rows * BYTES_A_ROW // 1024, 64 << 10), MOST_MEMORY_KB)}kB"


# A clinic that has the index keeps it until it is small again.
LARGE_CLINICS: LiteralString = """
with sizes as (
    select e.tableoid as partition, e.model, e.clinic_id, count(*) as clinic_rows
    from aura_ops.embeddings as e
    join aura_ops.embedding_models as m on m.model = e.model and m.active
    where e.entity = %(entity)s and e.clinic_id is not null
    group by e.tableoid, e.model, e.clinic_id
),

judged as (
    select s.*, s.clinic_rows >= case when i.clinic_id is null then %(large)s else %(small)s end as large
    from sizes as s
    left join aura_ops.indexed_clinics as i
        on i.clinic_id = s.clinic_id and i.entity = %(entity)s and i.model = s.model
)

select
    c.relname,
    j.model,
    sum(j.clinic_rows)::bigint,
    array_agg(j.clinic_id) filter (where j.large)
from judged as j
join pg_class as c on c.oid = j.partition
group by c.relname, j.model
having bool_or(j.large)
"""

STANDING: LiteralString = """
select c.relname, i.indisvalid
from pg_index as i
join pg_class as c on c.oid = i.indexrelid
where c.relnamespace = 'aura_ops'::regnamespace and c.relname like %(like)s
"""

BUILD: LiteralString = """
create index concurrently {name} on {partition} using hnsw (embedding halfvec_cosine_ops)
where entity = {entity} and model = {model}
"""

NOTE: LiteralString = """
insert into aura_ops.indexed_clinics (entity, model, clinic_id, index_name)
select %(entity)s, %(model)s, clinic_id, %(name)s from unnest(%(clinics)s::uuid[]) as clinic_id
on conflict do nothing
"""

FORGET: LiteralString = """
delete from aura_ops.indexed_clinics where index_name = %(name)s and clinic_id <> all(%(clinics)s::uuid[])
"""
