"""Lead scores by the champion, in bounded pieces, and their way back into the application's own columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy
from psycopg import sql
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import copy_frame, read_frame
from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.database.views import merge
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.leads import points
from bn_aura_pipelines.models.leads.candidates import RECENT_LEADS, LeadModel, recalibrated
from bn_aura_pipelines.models.leads.fields import COLUMNS, read_values
from bn_aura_pipelines.models.leads.reasons import write_reasons
from bn_aura_pipelines.models.leads.training import MODEL

if TYPE_CHECKING:
    import pandas as pd

HOT_FROM = 75
WARM_FROM = 50
PIECE = 50_000

WRITE_BACK_COLUMNS = ("score", "category", "confidence")


@dataclass(frozen=True)
class ScoringResult:
    """How many leads of clinics were scored, at which category; `written` rows were new or different."""

    rows: int
    hot: int
    warm: int
    without_clinic: int
    written: int
    model_version: int
    kind: str
    shift: float


def score(connection: sqlalchemy.Connection) -> ScoringResult:
    """Replace `aura_models.lead_scores`. Without a champion the application's points score, as version 0.

    Raises ModelUnusable when the champion is damaged or was made for other features.
    """
    version, model = champion_model(connection)
    driver = psycopg_connection(connection)
    driver.execute("drop table if exists pg_temp.lead_facts_now, pg_temp.fresh_lead_scores")
    driver.execute(
        "create temporary table lead_facts_now on commit drop as select row_number() over () as place, lead_id,"
        f" clinic_id, decided_at, is_won, {', '.join(COLUMNS)}, metadata from aura_features.lead_facts"
    )
    driver.execute("create index on pg_temp.lead_facts_now (place)")
    driver.execute("create temporary table fresh_lead_scores (like aura_models.lead_scores) on commit drop")
    leads, without = connection.execute(
        text("select count(*), count(*) filter (where clinic_id is null) from pg_temp.lead_facts_now")
    ).one()
    model = _to_todays_level(connection, model)
    fresh = sql.Identifier("pg_temp", "fresh_lead_scores")
    hot = warm = 0
    for begin in range(0, leads, PIECE):
        facts = read_frame(
            connection,
            f"select lead_id, clinic_id, (is_won is null)::int as is_open, {', '.join(COLUMNS)}, metadata"
            " from pg_temp.lead_facts_now"
            f" where place > {begin} and place <= {begin + PIECE} and clinic_id is not null",
        )
        scores = score_facts(model, facts, version)
        copy_frame(connection, scores, fresh)
        categories = scores["category"].tolist()
        hot, warm = hot + categories.count("hot"), warm + categories.count("warm")
    written = merge(driver, sql.Identifier("aura_models", "lead_scores"), fresh, ["lead_id"])
    return ScoringResult(
        rows=leads - without,
        hot=hot,
        warm=warm,
        without_clinic=without,
        written=written,
        model_version=version,
        kind=model.kind,
        shift=model.shift,
    )


def champion_model(connection: sqlalchemy.Connection) -> tuple[int, LeadModel]:
    """The version that scores at the run's moment, and its model."""
    entry = registry.champion(connection, MODEL)
    if entry is None:
        return 0, LeadModel("points")
    model = LeadModel.from_bytes(entry.artifact)
    if entry.features != tuple(model.columns):
        raise registry.ModelUnusable(
            f"Version {entry.version} of the lead model does not fit its own list of features: "
            "train again with `bn-aura run --select lead_model`."
        )
    return entry.version, model


def score_facts(model: LeadModel, facts: pd.DataFrame, version: int) -> pd.DataFrame:
    """The rows of `aura_models.lead_scores` for lead facts; reasons are written for open leads."""
    import numpy as np

    values = read_values(facts, only=model.needs)
    clinics = facts["clinic_id"].astype(str).to_numpy(object)
    found = model.explain(values, clinics.tolist(), by_column=False)
    parts = points.four_parts(values)
    if model.fields:
        filled = values[[field.name for field in model.fields]].notna().to_numpy().mean(axis=1)
    else:
        filled = (~np.isnan(parts)).mean(axis=1)
    number = np.rint(found.probability * 100).astype(int)
    # Only who reads the board asks why, and it holds the open leads.
    waiting = np.flatnonzero(facts["is_open"].to_numpy() == 1)
    english, thai = np.full(len(facts), "", object), np.full(len(facts), "", object)
    if len(waiting):
        asked = model.explain(values.iloc[waiting], clinics[waiting].tolist())
        raised = asked.columns.sum(axis=1) + asked.from_points >= 0
        english[waiting], thai[waiting] = write_reasons(
            values.iloc[waiting], model.fields, asked.columns, asked.from_points, asked.points, raised
        )
    scores = facts.filter(["lead_id", "clinic_id"]).assign(model_version=version)
    scores["win_probability"] = found.probability
    scores["win_low"] = np.minimum(found.low, found.probability)
    scores["win_high"] = np.maximum(found.high, found.probability)
    scores["score"] = number
    scores["category"] = np.select([number >= HOT_FROM, number >= WARM_FROM], ["hot", "warm"], "cold")
    scores["confidence"] = np.clip(filled * (1 - (found.high - found.low)), 0, 1)
    scores["completeness"] = filled
    engagement = parts[:, points.PARTS.index("engagement")]
    scores["engagement_points"] = [None if value != value else round(value) for value in engagement.tolist()]
    scores["engagement_points"] = scores["engagement_points"].astype("Int64")
    scores["reasons_en"] = english
    scores["reasons_th"] = thai
    return scores


def write_back(connection: sqlalchemy.Connection) -> dict[str, int]:
    """Write scores of open leads to `sales_leads`, to those of its columns that exist, changed rows only.

    `updated_at` is left alone: it is the moment of the last change of stage. A run about the past writes nothing, for
    the application shows the present. Returns how many rows changed, or nothing where nothing may be written.
    """
    driver = psycopg_connection(connection)
    types = dict(
        driver.execute(
            "select attname::text, format_type(atttypid, null) from pg_attribute"
            " where attrelid = to_regclass('public.sales_leads') and attnum > 0 and not attisdropped"
            " and attname = any(%s)",
            (list(WRITE_BACK_COLUMNS),),
        ).fetchall()
    )
    about_the_past = connection.execute(
        text("select exists (select from public.sales_leads where created_at >= aura_ops.as_of())")
    ).scalar_one()
    if not types or about_the_past:
        return {}
    values = {
        "score": sql.SQL("s.score"),
        "category": sql.SQL("s.category"),
        "confidence": sql.SQL("round(s.confidence::numeric, 2)"),
    }
    columns = [name for name in WRITE_BACK_COLUMNS if name in types]
    new = [sql.SQL("({})::{}").format(values[name], _type(types[name])) for name in columns]
    changes = driver.execute(
        sql.SQL(
            "update public.sales_leads as l set {sets} from aura_models.lead_scores as s, aura_staging.stg_leads as f"
            " where s.lead_id = l.id and f.lead_id = l.id and f.stage not in ('won', 'lost')"
            " and l.updated_at < aura_ops.as_of() and ({old}) is distinct from ({new})"
        ).format(
            sets=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in zip(columns, new, strict=True)
            ),
            old=sql.SQL(", ").join(sql.SQL("l.{}").format(sql.Identifier(name)) for name in columns),
            new=sql.SQL(", ").join(new),
        )
    )
    return {"rows": changes.rowcount, "columns": len(columns)}


def _type(name: str) -> sql.SQL:
    """A type's name as PostgreSQL itself gave it."""
    return sql.SQL(name)  # pyright: ignore[reportArgumentType]


def _to_todays_level(connection: sqlalchemy.Connection, model: LeadModel) -> LeadModel:
    """The level of all probabilities set anew by the leads decided last before the run's moment."""
    recent = read_frame(
        connection,
        "select * from pg_temp.lead_facts_now where is_won is not null"
        f" order by decided_at desc, lead_id limit {RECENT_LEADS}",
    ).iloc[::-1]
    if recent.empty:
        return model
    values = read_values(recent, only=model.needs)
    return recalibrated(model, values, recent["is_won"].to_numpy(float), recent["clinic_id"].fillna("").astype(str))
