"""Who resembles whom: the ten nearest customers of the same clinic, by profile text and by behaviour.

Only what a change can touch is compared again: whoever changed, whoever had somebody changed among the ten, and whoever
somebody changed now comes near to. The result is the one that comparing everybody gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame, replace_table
from bn_aura_pipelines.database.connections import psycopg_connection

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.int64]

NEAREST = 10
CHUNK = 1_000
# Of the behaviour's half: what was taken, and the bands of visits, money and rhythm.
TREATMENT_PART, BAND_PART = 0.7, 0.3
BANDS = ("visits_band", "ticket_band", "gap_band")
BAND_COUNT = 24
GRID = 2**11

# Nothing here moves with time alone, so that who did nothing need not be compared again.
PROFILES = """
    create temporary table current_profiles on commit drop as
    with had as (
        select a.customer_id, named.treatment_id, count(*) as times
        from aura_staging.stg_appointments as a
        cross join lateral jsonb_array_elements_text(a.treatment_ids) as named (treatment_id)
        where a.status = 'completed'
        group by a.customer_id, named.treatment_id
    ),
    taken as (
        select h.customer_id, jsonb_object_agg(h.treatment_id, h.times) as treatments
        from had as h inner join aura_staging.stg_treatments as t on h.treatment_id = t.treatment_id::text
        group by h.customer_id
    ),
    visits as (
        select
            customer_id,
            floor(log(2, count(*)))::int as visits_band,
            case when sum(revenue_thb) > 0 then floor(log(2, sum(revenue_thb) / count(*)))::int end as ticket_band,
            case when max(visit_date) > min(visit_date)
                then floor(log(2, (max(visit_date) - min(visit_date))::numeric / (count(*) - 1)))::int
            end as gap_band
        from aura_staging.stg_appointments
        where status = 'completed'
        group by customer_id
    )
    select
        c.customer_id, c.clinic_id, e.embedding, t.treatments, v.visits_band, v.ticket_band, v.gap_band,
        md5(concat_ws('|', e.model, e.content_hash, t.treatments, v.visits_band, v.ticket_band, v.gap_band))
            as profile_hash
    from aura_staging.stg_customers as c
    left join taken as t on c.customer_id = t.customer_id
    left join visits as v on c.customer_id = v.customer_id
    left join aura_ops.embeddings as e
        on c.customer_id = e.entity_id and c.clinic_id = e.clinic_id and e.entity = 'customer'
        and e.model = (select model from aura_ops.embedding_models where active)
    where e.entity_id is not null or v.customer_id is not null;
    create index on current_profiles (clinic_id);
    analyze current_profiles
"""
CHANGED = """
    select coalesce(p.clinic_id, k.clinic_id)::text as clinic_id, coalesce(p.customer_id, k.customer_id)::text as id
    from current_profiles as p
    full join aura_models.customer_profiles as k on p.customer_id = k.customer_id and p.clinic_id = k.clinic_id
    where p.profile_hash is distinct from k.profile_hash
    order by 1, 2
"""


@dataclass(frozen=True)
class SimilarResult:
    """How many customers have neighbours, how many changed, were compared again, and how many rows that wrote."""

    customers: int
    changed: int
    compared: int
    written: int


def refresh_similar(connection: sqlalchemy.Connection) -> SimilarResult:
    """Bring `aura_models.similar_customers` up to the profiles of the run's moment, clinic by clinic."""
    import numpy as np

    driver = psycopg_connection(connection)
    connection.exec_driver_sql("drop table if exists current_profiles")
    connection.exec_driver_sql(PROFILES)
    changed = read_frame(connection, CHANGED)
    compared = written = 0
    for clinic, rows in changed.groupby("clinic_id", sort=True):
        ids, vectors = _read_clinic(driver, str(clinic))
        touched = rows["id"].to_numpy(str)
        gone = np.setdiff1d(touched, ids)
        known = _read_known(driver, str(clinic))
        again = _to_compare(ids, vectors, np.flatnonzero(np.isin(ids, touched)), gone, known)
        fresh = nearest(ids, vectors, again).assign(clinic_id=str(clinic))
        compared += len(again)
        without = np.setdiff1d(np.union1d(gone, ids[again]), fresh["customer_id"].to_numpy(str))
        written += driver.execute(
            "delete from aura_models.similar_customers where clinic_id = %s and customer_id = any(%s::uuid[])",
            (str(clinic), without.tolist()),
        ).rowcount
        written += replace_table(
            connection, fresh, "aura_models", "similar_customers", ["customer_id", "rank"], ["customer_id"]
        )
    replace_table(
        connection,
        read_frame(connection, "select customer_id, clinic_id, profile_hash from current_profiles order by 1"),
        "aura_models",
        "customer_profiles",
        ["customer_id"],
    )
    customers = connection.exec_driver_sql(
        "select count(distinct customer_id) from aura_models.similar_customers"
    ).scalar_one()
    return SimilarResult(customers, len(changed), compared, written)


def nearest(ids: NDArray[np.str_], vectors: Floats, rows: Ints) -> pd.DataFrame:
    """The NEAREST others of each of `rows`, by cosine; ties by id. Only who has something in common is near."""
    import numpy as np
    import pandas as pd

    parts = []
    for begin in range(0, len(rows), CHUNK):
        some = rows[begin : begin + CHUNK]
        likeness = _products(vectors[some], vectors)
        likeness[np.arange(len(some)), some] = -1
        top = np.argsort(-likeness, axis=1, kind="stable")[:, :NEAREST] if len(ids) <= 200 else _top(likeness)
        who, rank = np.nonzero(np.take_along_axis(likeness, top, axis=1) > 0)
        other = top[who, rank]
        found = {
            "customer_id": ids[some[who]],
            "rank": rank + 1,
            "similar_customer_id": ids[other],
            "similarity": np.round(likeness[who, other].astype(float), 5),
        }
        parts.append(pd.DataFrame(found))
    columns = ["customer_id", "rank", "similar_customer_id", "similarity"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _products(some: Floats, others: Floats) -> Floats:
    """(n, m): the likeness of rows on the grid, to five digits."""
    import numpy as np

    return np.minimum(np.round(some @ others.T, 5), 1)


def _top(likeness: Floats) -> Ints:
    """The places of the NEAREST of each row, best first, ties by place."""
    import numpy as np

    least = np.partition(likeness, -NEAREST, axis=1)[:, [-NEAREST]]
    top = np.zeros((len(likeness), NEAREST), int)
    for row, (values, limit) in enumerate(zip(likeness, least[:, 0], strict=True)):
        candidates = np.flatnonzero(values >= limit)
        top[row] = candidates[np.argsort(-values[candidates], kind="stable")][:NEAREST]
    return top


def _to_compare(
    ids: NDArray[np.str_], vectors: Floats, changed: Ints, gone: NDArray[np.str_], known: dict[str, Any]
) -> Ints:
    """Whoever's ten a change can touch."""
    import numpy as np

    if len(changed) * 3 > len(ids):
        return np.arange(len(ids))
    again = np.zeros(len(ids), bool)
    again[changed] = True
    moved = np.union1d(ids[changed], gone)
    again |= np.isin(ids, known["customer_id"][np.isin(known["similar_customer_id"], moved)])
    farthest = np.full(len(ids), -1.0)
    full = known["rank"] == NEAREST
    place = np.searchsorted(ids, known["customer_id"][full])
    inside = place < len(ids)
    farthest[place[inside]] = known["similarity"][full][inside]
    for begin in range(0, len(ids), CHUNK):
        near = _products(vectors[begin : begin + CHUNK], vectors[changed]).max(axis=1, initial=-1)
        again[begin : begin + CHUNK] |= near >= farthest[begin : begin + CHUNK]
    return np.flatnonzero(again)


def _read_known(driver: Any, clinic: str) -> dict[str, Any]:
    import numpy as np

    rows = driver.execute(
        "select customer_id::text, similar_customer_id::text, rank, similarity from aura_models.similar_customers"
        " where clinic_id = %s",
        (clinic,),
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    names = ("customer_id", "similar_customer_id", "rank", "similarity")
    kinds = (str, str, int, float)
    return {name: np.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)}


def _read_clinic(driver: Any, clinic: str) -> tuple[NDArray[np.str_], Floats]:
    """Customers of a clinic in order of id, and their vectors (n, d): unit halves of profile and behaviour, so that the
    product of two rows is the mean of both cosines. A half that is missing is like nobody's.

    They lie on a grid so coarse that float32 holds every sum of such products exactly: otherwise the last digit, and
    with it who is tenth, would hang on how many are compared at once and on the processor.
    """
    import numpy as np

    rows = driver.execute(
        "select customer_id::text, halfvec_send(embedding), treatments, visits_band, ticket_band, gap_band"
        " from current_profiles where clinic_id = %s order by customer_id",
        (clinic,),
    ).fetchall()
    ids = np.array([row[0] for row in rows], str)
    names = sorted({name for row in rows for name in row[2] or ()})
    place = {name: number for number, name in enumerate(names)}
    treatments = np.zeros((len(rows), len(names)), np.float32)
    bands = np.zeros((len(rows), len(BANDS) * BAND_COUNT), np.float32)
    profiles = np.zeros((len(rows), 768), np.float32)
    for number, (_, embedding, taken, *found) in enumerate(rows):
        for name, times in (taken or {}).items():
            treatments[number, place[name]] = np.sqrt(times)
        for which, band in enumerate(found):
            if band is not None:
                bands[number, which * BAND_COUNT + min(max(band, 0), BAND_COUNT - 1)] = 1
        if embedding is not None:  # as pgvector sends it: two 16-bit numbers, then the halves
            profiles[number] = np.frombuffer(embedding, ">f2", offset=4)
    behaviour = np.hstack([_unit(treatments) * TREATMENT_PART**0.5, _unit(bands) * BAND_PART**0.5])
    return ids, np.rint(np.hstack([_unit(profiles), behaviour]) * np.float32(0.5**0.5 * GRID)) / np.float32(GRID)


def _unit(rows: Floats) -> Floats:
    import numpy as np

    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    # An embedding that is no number is no profile.
    return np.where(np.isfinite(norm) & (norm > 0), rows / np.where(norm > 0, norm, 1), 0).astype(np.float32)
