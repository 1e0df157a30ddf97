"""The next best action of each customer: the one that is expected to gain most over doing nothing.

Gain = what the action adds to the probability of success (uplift) x margin x what that brings - cost, in THB. Uplift
comes from what followed the trigger rules' random holdouts, as far as there is enough of it, else from the prior below.
What may not be done – no consent, a contact cap – is no choice. Which treatments fit is decided in
`models.recommendations`, the words in `action_words`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame, replace_table
from bn_aura_pipelines.marts.action_words import explain
from bn_aura_pipelines.marts.uplift import Uplift, learn_uplift

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.floating]
    Bools = NDArray[np.bool_]

# What is left of a price after material, fees and the room; assumed, since the source knows no cost.
MARGIN = 0.5
REVIEW_VALUE_THB = 200.0


@dataclass(frozen=True)
class Action:
    """One thing that can be done. `prior`: what doing it adds to the probability of a visit (of a review), on average
    of all it is done to; `rule`: the trigger rule whose holdout tells better; `marketing` needs consent."""

    name: str
    prior: Uplift
    cost_thb: float
    marketing: bool
    rule: str


def _believed(low: float, high: float) -> Uplift:
    return Uplift((low + high) / 2, low, high, "prior")


# Reminders of what is due have been tried at random elsewhere: they raise attendance by a fifth to a third (Jacobson
# Vann et al. 2018, Cochrane review of reminder and recall), which for the one in ten who would come within 30 days
# anyway is .02 to .03. The others are untried here: until a holdout shows more, they are believed to annoy as often as
# to help (the sceptical prior of Spiegelhalter, Freedman and Parmar 1994), so they do not earn their cost. A trigger
# rule named like the action, with a holdout, is all that is needed to learn about it.
UNTRIED = _believed(-0.02, 0.02)
ACTIONS = (
    Action("rebook", _believed(-0.01, 0.05), 20, True, "repeat_due"),
    Action("cross_sell", UNTRIED, 20, True, "cross_sell"),
    Action("win_back", UNTRIED, 60, True, "inactivity"),
    Action("nurture", UNTRIED, 10, True, "nurture"),
    Action("vip_care", UNTRIED, 300, False, "vip_care"),
    Action("ask_review", _believed(0.0, 0.2), 5, False, "ask_review"),
    Action("do_nothing", Uplift(0.0, 0.0, 0.0, "none"), 0, False, ""),
)
NAMES = tuple(action.name for action in ACTIONS)
NOTHING = len(ACTIONS) - 1

# Due from shortly before the interval is over until it has passed twice.
DUE = "interval_days > 0 and due_in_days <= 0.1 * interval_days and due_in_days > -interval_days"
CUSTOMERS = f"""
    with due as (
        select distinct on (r.customer_id)
            r.customer_id, r.treatment_id, r.score, r.due_in_days, (t.price_min_thb + t.price_max_thb) / 2 as price_thb,
            t.name_en, t.name_th
        from aura_models.treatment_recommendations as r
        inner join aura_staging.stg_treatments as t on r.treatment_id = t.treatment_id
        where r.kind = 'rebook' and {DUE}
        order by r.customer_id, r.score * (t.price_min_thb + t.price_max_thb) desc, r.rank
    ),
    fresh as (
        select distinct on (r.customer_id)
            r.customer_id, r.treatment_id, r.score, (t.price_min_thb + t.price_max_thb) / 2 as price_thb,
            t.name_en, t.name_th
        from aura_models.treatment_recommendations as r
        inner join aura_staging.stg_treatments as t on r.treatment_id = t.treatment_id
        where r.kind = 'cross_sell'
        order by r.customer_id, r.rank
    ),
    visits as (
        select
            customer_id, count(*) filter (where status = 'completed') as visits,
            max(visit_at) filter (where status = 'completed') as last_visit_at,
            bool_or(status = 'scheduled' and visit_at >= aura_ops.as_of()) as is_booked,
            avg(revenue_thb) filter (where status = 'completed') as ticket_thb
        from aura_staging.stg_appointments group by customer_id
    ),
    told as (
        select
            recipient_id as customer_id,
            count(*) filter (where sent_at >= aura_ops.as_of() - interval '7 days') as week, count(*) as month
        from aura_ops.outbox
        where recipient_type = 'customer' and sent_at < aura_ops.as_of()
            and sent_at >= aura_ops.as_of() - interval '30 days'
        group by recipient_id
    ),
    moods as (
        select distinct on (customer_id) customer_id, overall_sentiment = 'negative' as is_negative
        from aura_ops.conversation_analysis as a
        inner join aura_staging.stg_conversations as c on a.conversation_id = c.conversation_id
        where c.customer_id is not null
        order by customer_id, c.created_at desc, c.conversation_id
    )
    select
        c.customer_id, c.clinic_id, coalesce(v.visits, 0) as visits,
        extract(epoch from aura_ops.as_of() - v.last_visit_at)::float8 / 86400 as recency_days,
        coalesce(v.is_booked, false)::int as is_booked, coalesce(v.ticket_thb, 0)::float8 as ticket_thb,
        s.churn_probability,
        coalesce(l.ltv_12m_thb, 0)::float8 as ltv_12m_thb,
        (c.customer_type is not distinct from 'vip')::int as is_vip,
        (p.contact_obstacle is not null)::int as is_barred,
        -- Whoever prefers another channel than e-mail can be told by it.
        (coalesce(p.marketing_obstacle, 'prefers another channel') = 'prefers another channel')::int as has_consent,
        (coalesce(t.week >= p.max_weekly_contacts, false) or coalesce(t.month >= p.max_monthly_contacts, false))::int
            as is_capped,
        coalesce(m.is_negative, false)::int as is_negative,
        d.treatment_id as due_id, d.score as due_score, d.due_in_days, d.price_thb::float8 as due_price_thb,
        d.name_en as due_en, d.name_th as due_th,
        f.treatment_id as fresh_id, f.score as fresh_score, f.price_thb::float8 as fresh_price_thb,
        f.name_en as fresh_en, f.name_th as fresh_th
    from aura_staging.stg_customers as c
    left join visits as v on c.customer_id = v.customer_id
    left join aura_models.churn_scores as s on c.customer_id = s.customer_id
    left join aura_models.lifetime_values as l on c.customer_id = l.customer_id
    left join aura_staging.stg_contact_permissions as p on c.customer_id = p.customer_id
    left join told as t on c.customer_id = t.customer_id
    left join moods as m on c.customer_id = m.customer_id
    left join due as d on c.customer_id = d.customer_id
    left join fresh as f on c.customer_id = f.customer_id
    order by c.customer_id
"""


@dataclass(frozen=True)
class Choices:
    """For each customer (n) and action (k): the expected gain in THB, -inf where it does not apply or may not be done,
    and the probability of a visit when it is done."""

    value: Array
    probability: Array


@dataclass(frozen=True)
class ActionResult:
    """How often each action was chosen, its expected gain in all, and rows that were new or different."""

    chosen: dict[str, int]
    expected_value_thb: float
    written: int
    uplift: dict[str, Uplift]


def choose_actions(connection: sqlalchemy.Connection) -> ActionResult:
    """Replace `aura_ops.next_best_actions`."""
    rows, uplift = read_frame(connection, CUSTOMERS), learn_uplifts(connection)
    table = decide(rows, weigh(rows, uplift), uplift)
    written = replace_table(connection, table, "aura_ops", "next_best_actions", ["customer_id"])
    chosen = {name: int((table["action"] == name).to_numpy().sum()) for name in NAMES}
    return ActionResult(chosen, float(table["expected_value_thb"].to_numpy(float).sum()), written, uplift)


def learn_uplifts(connection: sqlalchemy.Connection) -> dict[str, Uplift]:
    """What each action adds, by its name, as far as holdouts and priors tell at the run's moment."""
    return {action.name: learn_uplift(connection, action.rule, action.prior) for action in ACTIONS}


def weigh(rows: pd.DataFrame, uplift: dict[str, Uplift]) -> Choices:
    """What each action is expected to gain with each customer.

    Uplift is the mean over everybody told, those who have left for good among them: it is not lowered once more by how
    probable it is that a customer is still there.
    """
    import numpy as np

    def column(name: str, missing: float = 0.0) -> Array:
        return rows[name].fillna(missing).to_numpy(float)

    recency, churn = column("recency_days", 9999), column("churn_probability", 1)
    been, free, fits = column("visits") > 0, column("is_booked") == 0, rows["fresh_id"].notna().to_numpy()
    best = np.zeros(len(rows), bool)
    for _, places in rows.groupby("clinic_id").indices.items():
        ltv = column("ltv_12m_thb")[places]
        best[places] = (ltv > 0) & (ltv >= np.quantile(ltv, 0.9))
    lapsed = been & (recency > 120) & (churn >= 0.5)
    review = np.full(len(rows), REVIEW_VALUE_THB / MARGIN)
    # When each applies, what it brings if it succeeds, and how probable that is without us.
    plans: dict[str, tuple[Bools, Array, Array]] = {
        "rebook": (free & rows["due_id"].notna().to_numpy(), column("due_price_thb"), column("due_score")),
        "cross_sell": (free & been & (recency <= 365) & fits, column("fresh_price_thb"), column("fresh_score")),
        "win_back": (free & lapsed, column("ticket_thb"), 1 - churn),
        "nurture": (free & ~been & fits, column("fresh_price_thb"), 1 - churn),
        "vip_care": (
            been & ((column("is_vip") == 1) | best) & ~lapsed & (recency > 30), column("ltv_12m_thb"), 1 - churn
        ),
        "ask_review": (been & (recency <= 14) & (column("is_negative") == 0), review, np.zeros(len(rows))),
        "do_nothing": (np.ones(len(rows), bool), np.zeros(len(rows)), 1 - churn),
    }  # fmt: skip
    allowed = (column("is_barred") == 0) & (column("is_capped") == 0)
    value = np.full((len(rows), len(ACTIONS)), -np.inf)
    probability = np.zeros(value.shape)
    for number, action in enumerate(ACTIONS):
        applies, revenue, without = plans[action.name]
        may = allowed & ((column("has_consent") == 1) | (not action.marketing)) | (number == NOTHING)
        gain = uplift[action.name].mean * MARGIN * revenue - action.cost_thb
        value[:, number] = np.where(applies & may, gain, -np.inf)
        probability[:, number] = np.clip(without + uplift[action.name].mean, 0, 1)
    return Choices(value, probability)


def decide(rows: pd.DataFrame, choices: Choices, uplift: dict[str, Uplift]) -> pd.DataFrame:
    """The rows of `aura_ops.next_best_actions`: the best action and the runner-up; ties go to doing nothing."""
    import numpy as np
    import pandas as pd

    # Doing nothing is looked at first, so that a tie is left alone.
    value = np.roll(choices.value, 1, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    first, second = ((order[:, place] - 1) % len(ACTIONS) for place in (0, 1))
    table = pd.DataFrame({"customer_id": rows["customer_id"], "clinic_id": rows["clinic_id"]})
    n = np.arange(len(rows))
    names = np.array(NAMES, object)
    table["action"], table["runner_up"] = names[first], names[second]
    table["treatment_id"], table["runner_up_treatment_id"] = _treatment(rows, first), _treatment(rows, second)
    table["expected_value_thb"] = np.round(choices.value[n, first], 2)
    runner = choices.value[n, second]
    table["runner_up_expected_value_thb"] = np.where(np.isfinite(runner), np.round(runner, 2), np.nan)
    table["confidence"] = choices.probability[n, first]
    found = [uplift[NAMES[number]] for number in first.tolist()]
    for name in ("uplift", "uplift_low", "uplift_high", "uplift_basis"):
        table[name] = [getattr(one, {"uplift": "mean"}.get(name, name.removeprefix("uplift_"))) for one in found]
    told = [
        explain(row, NAMES[one], NAMES[two], gain, other, uplift[NAMES[two]], _may(row, ACTIONS[two]))
        for row, one, two, gain, other in zip(
            rows.to_dict("records"),
            first.tolist(),
            second.tolist(),
            choices.value[n, first].tolist(),
            runner.tolist(),
            strict=True,
        )
    ]
    for place, name in enumerate(("why_en", "why_th", "why_not_runner_up_en", "why_not_runner_up_th")):
        table[name] = [one[place] for one in told]
    return table


def _may(row: dict, action: Action) -> bool:
    """Whether the customer may be approached so, whatever it brings."""
    return not (row["is_barred"] or row["is_capped"] or (action.marketing and not row["has_consent"]))


def _treatment(rows: pd.DataFrame, chosen: NDArray[np.integer]) -> list[object]:
    """The treatment that each chosen action is about; missing where it is about none."""
    about = {"rebook": rows["due_id"].tolist(), "cross_sell": rows["fresh_id"].tolist()}
    about["nurture"] = about["cross_sell"]
    names = [NAMES[number] for number in chosen.tolist()]
    return [about[name][place] if name in about else None for place, name in enumerate(names)]
