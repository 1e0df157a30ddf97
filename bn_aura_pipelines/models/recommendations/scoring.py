"""Writes everybody's recommendations: the champions' best treatments of each kind, with reasons and cautions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import read_frame, replace_table
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.recommendations import reasons
from bn_aura_pipelines.models.recommendations.cautions import caution
from bn_aura_pipelines.models.recommendations.histories import Histories, count_unknown, read_histories
from bn_aura_pipelines.models.recommendations.model import Problem, RankingModel
from bn_aura_pipelines.models.recommendations.novelties import Novelties
from bn_aura_pipelines.models.recommendations.ranking import top_places
from bn_aura_pipelines.models.recommendations.repeats import Repeats
from bn_aura_pipelines.models.recommendations.training import DEFAULT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.int64]

MOST = 5
CHUNK = 5_000
# What the clinic takes at all weighs as much as so many similar customers.
PRIOR_CUSTOMERS = 5.0

NOTES = """
    select customer, nullif(trim(allergies), '') as allergies, nullif(trim(medical_notes), '') as medical_notes
    from recommendation_customers
    where nullif(trim(allergies), '') is not null or nullif(trim(medical_notes), '') is not null
    order by customer
"""
SIMILAR = """
    select c.customer, o.customer as other
    from aura_models.similar_customers as s
    inner join recommendation_customers as c on s.customer_id = c.customer_id
    inner join recommendation_customers as o on s.similar_customer_id = o.customer_id and c.clinic = o.clinic
    order by 1, 2
"""


@dataclass(frozen=True)
class ScoringResult:
    """How many recommendations for how many customers, how many were new or different, and what could not be used."""

    rows: int
    customers: int
    written: int
    cautions: int
    unknown_treatments: int
    versions: dict[str, int]


@dataclass(frozen=True)
class Best:
    """The best treatments of some customers, one element a recommendation, in order of customer and rank."""

    customer: Ints
    rank: Ints
    treatment: Ints
    score: Floats


def recommend(connection: sqlalchemy.Connection) -> ScoringResult:
    """Replace `aura_models.treatment_recommendations`.

    Raises ModelUnusable when a champion is damaged or was made for other features.
    """
    import numpy as np
    import pandas as pd

    now = connection.execute(text("select aura_ops.as_of()")).scalar_one()
    histories = read_histories(connection, now)
    notes, similar = read_frame(connection, NOTES), read_frame(connection, SIMILAR)
    parts, versions = [], {}
    repeats, novelties = Repeats(histories), Novelties(histories)
    for problem in (repeats, novelties):
        versions[problem.kind], model = champion_model(connection, problem)
        best = choose(problem, model, _customers_with_history(histories))
        told = rebook_rows(repeats, best) if problem is repeats else together_rows(novelties, best)
        parts.append(told.assign(kind=problem.kind, model_version=versions[problem.kind], basis="model"))
    parts.append(cold_rows(novelties, similar).assign(kind="cross_sell", model_version=0))
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    _add_cautions(rows, histories, notes)
    rows["score"] = rows["score"].astype(float).clip(0, 1)
    for name in ("due_in_days", "interval_days"):
        rows[name] = rows[name].astype("Int64")
    rows["customer_id"] = histories.customers["customer_id"].to_numpy()[rows["customer"]]
    rows["clinic_id"] = histories.customers["clinic_id"].to_numpy()[rows["customer"]]
    rows["treatment_id"] = histories.treatments["treatment_id"].to_numpy()[rows["treatment"]]
    cautions, customers = rows["caution_en"].notna().to_numpy().sum(), len(np.unique(rows["customer"].to_numpy()))
    written = replace_table(
        connection,
        rows.drop(columns=["customer", "treatment"]),
        "aura_models",
        "treatment_recommendations",
        ["customer_id", "kind", "rank"],
    )
    return ScoringResult(len(rows), customers, written, int(cautions), count_unknown(connection), versions)


def champion_model(connection: sqlalchemy.Connection, problem: Problem) -> tuple[int, RankingModel]:
    """The version that orders at the run's moment; version 0 is the default baseline before anything was judged."""
    entry = registry.champion(connection, problem.kind)
    if entry is None:
        return 0, RankingModel(DEFAULT[problem.kind])
    if entry.features != problem.features:
        raise registry.ModelUnusable(
            f"Version {entry.version} of the model {problem.kind} was trained on other features: "
            "train again with `bn-aura run --select recommendation_models`."
        )
    return entry.version, RankingModel.from_bytes(entry.artifact)


def choose(problem: Problem, model: RankingModel, places: Ints) -> Best:
    """The best of what is open to the customers of `places`, at most MOST each."""
    import numpy as np

    customer, ranks, treatment, score = [], [], [], []
    for begin in range(0, len(places), CHUNK):
        some = places[begin : begin + CHUNK]
        probability, open_ = model.predict(problem, some), problem.open(some)
        top = top_places(probability, open_, MOST)
        who, rank = np.nonzero(np.take_along_axis(open_ & (probability > 0), top, axis=1))
        customer.append(some[who])
        ranks.append(rank + 1)
        treatment.append(top[who, rank])
        score.append(probability[who, top[who, rank]])
    if not customer:
        nothing = np.zeros(0, int)
        return Best(nothing, nothing, nothing, np.zeros(0, np.float32))
    return Best(np.concatenate(customer), np.concatenate(ranks), np.concatenate(treatment), np.concatenate(score))


def rebook_rows(repeats: Repeats, best: Best) -> pd.DataFrame:
    """Recommendations with reasons: how long ago, and how often otherwise."""
    import numpy as np

    histories = repeats.histories
    row = repeats.row[best.customer, best.treatment]
    pairs, clock = histories.pairs.iloc[row], repeats.clock_days[row]
    usual = repeats.usual_gap_days[best.treatment]
    own = pairs["gap_days"].to_numpy(float)
    gap = np.where(np.isnan(own), usual, own)
    open_course = (pairs["has_course"].to_numpy() == 1) & (pairs["last_was_free"].to_numpy() == 1)
    told = [
        reasons.rebook_reason(en, th, days, None if g != g else g, mine, times, uses if course else None)
        for en, th, days, g, mine, times, uses, course in zip(
            *_names(histories, best.treatment),
            pairs["days_since"].tolist(),
            gap.tolist(),
            (~np.isnan(own)).tolist(),
            pairs["times"].tolist(),
            pairs["uses_of_course"].tolist(),
            open_course.tolist(),
            strict=True,
        )
    ]
    due = clock - pairs["days_since"].to_numpy(float)
    return _frame(best, told).assign(due_in_days=np.round(due), interval_days=np.round(clock))


def together_rows(novelties: Novelties, best: Best) -> pd.DataFrame:
    """Recommendations with the treatment the customer has had that speaks most for each, or what the clinic takes."""
    import numpy as np

    histories = novelties.histories
    partner, share = novelties.partner(best.customer, best.treatment)
    popular = novelties.popularity[0][histories.clinic[best.customer], best.treatment]
    told = [
        reasons.together_reason(en, th, other_en, other_th, part)
        if part >= 0.005
        else reasons.popular_reason(en, th, everybody)
        for en, th, other_en, other_th, part, everybody in zip(
            *_names(histories, best.treatment),
            *_names(histories, partner),
            share.tolist(),
            popular.tolist(),
            strict=True,
        )
    ]
    return _frame(best, told).assign(due_in_days=np.nan, interval_days=np.nan)


def cold_rows(novelties: Novelties, similar: pd.DataFrame) -> pd.DataFrame:
    """For customers who have had nothing yet: what the clinic takes within 90 days, raised or lowered by what the
    customers with a similar profile have had."""
    import numpy as np

    histories = novelties.histories
    cold = np.flatnonzero(~novelties.had.any(axis=1) & (histories.customers["is_known"].to_numpy() == 1))
    index = np.full(len(novelties.had), -1)
    index[cold] = np.arange(len(cold))
    mine = index[similar["customer"].to_numpy(int)]
    other = similar["other"].to_numpy(int)
    # Who is like me but has had nothing either says nothing.
    tells = (mine >= 0) & novelties.had[other].any(axis=1)
    count = np.zeros((len(cold), novelties.had.shape[1]), np.float32)
    np.add.at(count, mine[tells], novelties.had[other[tells]])
    of = np.bincount(mine[tells], minlength=len(cold)).astype(np.float32)
    clinic = histories.clinic[cold]
    ever, recent = novelties.popularity[0][clinic], novelties.popularity[90][clinic]
    share = (count + PRIOR_CUSTOMERS * ever) / (of + PRIOR_CUSTOMERS)[:, None]
    score = np.clip(recent * share / np.maximum(ever, 1e-6), 0, 1)
    open_ = novelties.open(cold)
    top = top_places(score, open_, MOST)
    who, rank = np.nonzero(np.take_along_axis(open_ & (score > 0), top, axis=1))
    treatment = top[who, rank]
    best = Best(cold[who], rank + 1, treatment, score[who, treatment])
    told = [
        reasons.similar_reason(en, th, int(number), int(people))
        if number
        else reasons.popular_reason(en, th, everybody)
        for en, th, number, people, everybody in zip(
            *_names(histories, treatment),
            count[who, treatment].tolist(),
            of[who].tolist(),
            ever[who, treatment].tolist(),
            strict=True,
        )
    ]
    basis = np.where(count[who, treatment] > 0, "similar_customers", "popularity")
    return _frame(best, told).assign(due_in_days=np.nan, interval_days=np.nan, basis=basis)


def _customers_with_history(histories: Histories) -> Ints:
    import numpy as np

    return np.flatnonzero(
        np.isfinite(histories.recency).any(axis=1) & (histories.customers["is_known"].to_numpy() == 1)
    )


def _names(histories: Histories, treatment: Ints) -> tuple[list[str], list[str]]:
    names = histories.treatments[["name_en", "name_th"]].to_numpy(object)[treatment]
    return names[:, 0].tolist(), names[:, 1].tolist()


def _frame(best: Best, told: list[tuple[str, str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "customer": best.customer,
            "rank": best.rank,
            "treatment": best.treatment,
            "score": best.score,
            "reason_en": [one[0] for one in told],
            "reason_th": [one[1] for one in told],
        }
    )


def _add_cautions(rows: pd.DataFrame, histories: Histories, notes: pd.DataFrame) -> None:
    """Columns caution_en and caution_th: what the customer's notes say about each treatment's category."""
    categories = histories.treatments["category"].tolist()
    noted = zip(*(notes[name].tolist() for name in ("customer", "allergies", "medical_notes")), strict=True)
    flags = {
        (customer, category): caution(category, _text(allergies), _text(medical))
        for customer, allergies, medical in noted
        for category in set(categories)
    }
    found = [
        flags.get((customer, categories[treatment])) or (None, None)
        for customer, treatment in zip(rows["customer"].tolist(), rows["treatment"].tolist(), strict=True)
    ]
    rows["caution_en"] = [one[0] for one in found]
    rows["caution_th"] = [one[1] for one in found]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
