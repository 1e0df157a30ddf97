"""The next best action of each customer: the one that is expected to gain most over doing nothing.

Gain = probability that the action meets a need x uplift x margin - cost, in THB. Uplift comes from what followed the
trigger rules' random holdouts, as far as there is enough of it, else from the prior below. What may not be done – no
consent, a contact cap – is no choice. Which treatments fit is decided in `models.recommendations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame, replace_table
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
    """One thing that can be done. `uplift` is the prior: what doing it adds to the probability of a visit, with the
    interval it is believed in; `rule` the trigger rule whose holdout tells better; `marketing` needs consent."""

    name: str
    uplift: float
    low: float
    high: float
    cost_thb: float
    marketing: bool
    rule: str | None
    english: str
    thai: str


# Reminders raise the probability of a due visit by a few points (the sample's law: up to .06, on average .03); there is
# no reason to believe that messages about what is new do better, nor that those to lost customers do.
ACTIONS = (
    Action("rebook", 0.03, 0.0, 0.06, 20, True, "repeat_due", "remind of {treatment}", "เตือนนัด{treatment}"),
    Action("cross_sell", 0.01, 0.0, 0.03, 20, True, None, "suggest {treatment}", "แนะนำ{treatment}"),
    Action("win_back", 0.02, 0.0, 0.04, 60, True, "inactivity", "win back", "ชวนกลับมาใช้บริการ"),
    Action("nurture", 0.01, 0.0, 0.02, 10, True, None, "keep informed", "ส่งข้อมูลให้ต่อเนื่อง"),
    Action("vip_care", 0.02, 0.0, 0.04, 300, False, None, "a personal call", "โทรดูแลเป็นพิเศษ"),
    Action("ask_review", 0.10, 0.0, 0.20, 5, False, None, "ask for a review", "ขอรีวิว"),
    Action("do_nothing", 0.0, 0.0, 0.0, 0, False, None, "do nothing", "ยังไม่ต้องติดต่อ"),
)
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
        s.churn_probability, coalesce(l.alive_probability, 1) as alive_probability,
        coalesce(l.ltv_12m_thb, 0)::float8 as ltv_12m_thb,
        (c.customer_type is not distinct from 'vip')::int as is_vip,
        (c.status = 'blacklisted' or coalesce(p.do_not_contact, false))::int as is_barred,
        (coalesce(p.marketing_opt_in, false) and u.email is null)::int as has_consent,
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
    left join aura_staging.stg_contact_preferences as p on c.customer_id = p.customer_id
    left join aura_staging.stg_email_unsubscribes as u on c.clinic_id = u.clinic_id and c.email = u.email
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
    rows = read_frame(connection, CUSTOMERS)
    uplift = {action.name: learn_uplift(connection, action.rule, _prior(action)) for action in ACTIONS}
    choices = weigh(rows, uplift)
    table = decide(rows, choices, uplift)
    written = replace_table(connection, table, "aura_ops", "next_best_actions", ["customer_id"])
    chosen = {action.name: int((table["action"] == action.name).to_numpy().sum()) for action in ACTIONS}
    return ActionResult(chosen, float(table["expected_value_thb"].to_numpy(float).sum()), written, uplift)


def weigh(rows: pd.DataFrame, uplift: dict[str, Uplift]) -> Choices:
    """What each action is expected to gain with each customer."""
    import numpy as np

    def column(name: str, missing: float = 0.0) -> Array:
        return rows[name].fillna(missing).to_numpy(float)

    recency, churn, alive = column("recency_days", 9999), column("churn_probability", 1), column("alive_probability", 1)
    been, free = column("visits") > 0, column("is_booked") == 0
    best = np.zeros(len(rows), bool)
    for _, places in rows.groupby("clinic_id").indices.items():
        ltv = column("ltv_12m_thb")[places]
        best[places] = (ltv > 0) & (ltv >= np.quantile(ltv, 0.9))
    lapsed = been & (recency > 120) & (churn >= 0.5)
    # When each applies, how probable the need is, what a visit for it brings, and the probability of one without us.
    plans: dict[str, tuple[Bools, Array, Array, Array]] = {
        "rebook": (free & rows["due_id"].notna().to_numpy(), alive, column("due_price_thb"), column("due_score")),
        "cross_sell": (
            free & been & (recency <= 365) & rows["fresh_id"].notna().to_numpy(),
            alive,
            column("fresh_price_thb"),
            column("fresh_score"),
        ),
        "win_back": (free & lapsed, alive, column("ticket_thb"), 1 - churn),
        "nurture": (free & ~been & rows["fresh_id"].notna().to_numpy(), alive, column("fresh_price_thb"), 1 - churn),
        "vip_care": (
            been & ((column("is_vip") == 1) | best) & ~lapsed & (recency > 30),
            alive,
            column("ltv_12m_thb"),
            1 - churn,
        ),
        "ask_review": (
            been & (recency <= 14) & (column("is_negative") == 0),
            np.ones(len(rows)),
            np.full(len(rows), REVIEW_VALUE_THB / MARGIN),
            np.zeros(len(rows)),
        ),
        "do_nothing": (np.ones(len(rows), bool), alive, np.zeros(len(rows)), 1 - churn),
    }
    allowed = (column("is_barred") == 0) & (column("is_capped") == 0)
    value = np.full((len(rows), len(ACTIONS)), -np.inf)
    probability = np.zeros(value.shape)
    for number, action in enumerate(ACTIONS):
        applies, need, revenue, without = plans[action.name]
        may = allowed & ((column("has_consent") == 1) | (not action.marketing)) | (number == NOTHING)
        gain = need * uplift[action.name].mean * MARGIN * revenue - action.cost_thb
        value[:, number] = np.where(applies & may, gain, -np.inf)
        probability[:, number] = np.clip(without + need * uplift[action.name].mean, 0, 1)
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
    names = np.array([action.name for action in ACTIONS], object)
    table["action"], table["runner_up"] = names[first], names[second]
    table["treatment_id"], table["runner_up_treatment_id"] = _treatment(rows, first), _treatment(rows, second)
    table["expected_value_thb"] = np.round(choices.value[n, first], 2)
    runner = choices.value[n, second]
    table["runner_up_expected_value_thb"] = np.where(np.isfinite(runner), np.round(runner, 2), np.nan)
    table["confidence"] = choices.probability[n, first]
    found = [uplift[ACTIONS[number].name] for number in first.tolist()]
    for name in ("uplift", "uplift_low", "uplift_high", "uplift_basis"):
        table[name] = [getattr(one, {"uplift": "mean"}.get(name, name.removeprefix("uplift_"))) for one in found]
    told = [_why(row, int(one), int(two), a, b) for row, one, two, a, b in zip(
        rows.to_dict("records"), first, second, choices.value[n, first].tolist(), runner.tolist(), strict=True
    )]  # fmt: skip
    for place, name in enumerate(("why_en", "why_th", "why_not_runner_up_en", "why_not_runner_up_th")):
        table[name] = [one[place] for one in told]
    return table


def _treatment(rows: pd.DataFrame, chosen: NDArray[np.integer]) -> list[object]:
    """The treatment that each chosen action is about; missing where it is about none."""
    about = {"rebook": rows["due_id"].tolist(), "cross_sell": rows["fresh_id"].tolist()}
    about["nurture"] = about["cross_sell"]
    names = [ACTIONS[number].name for number in chosen.tolist()]
    return [about[name][place] if name in about else None for place, name in enumerate(names)]


def _why(row: dict, first: int, second: int, value: float, runner: float) -> tuple[str, str, str, str]:
    """Why the first, and why not the second, in English and Thai."""
    action, other = ACTIONS[first], ACTIONS[second]
    english, thai = _reason(action.name, row)
    if first != NOTHING:
        english += f"; expected gain {value:,.0f} THB"
        thai += f" คาดว่าจะได้กำไรเพิ่ม {value:,.0f} บาท"
    if runner > float("-inf"):
        not_en = f"{_named(other, row)[0]}: {value - runner:,.0f} THB less"
        not_th = f"{_named(other, row)[1]}: ได้น้อยกว่า {value - runner:,.0f} บาท"
        return english, thai, not_en, not_th
    blocked = _obstacle(other, row)
    return english, thai, f"{_named(other, row)[0]}: {blocked[0]}", f"{_named(other, row)[1]}: {blocked[1]}"


def _named(action: Action, row: dict) -> tuple[str, str]:
    kind = "due" if action.name == "rebook" else "fresh"
    names = [row[f"{kind}_{language}"] for language in ("en", "th")]
    en, th = (
        name if isinstance(name, str) else missing
        for name, missing in zip(names, ("a treatment", "ทรีตเมนต์"), strict=True)
    )
    return action.english.format(treatment=en), action.thai.format(treatment=th)


def _reason(name: str, row: dict) -> tuple[str, str]:
    days = row["recency_days"]
    if name == "rebook":
        late = -row["due_in_days"]
        when_en = f"{late:.0f} days overdue" if late > 0 else f"due in {-late:.0f} days"
        when_th = f"เลยกำหนด {late:.0f} วัน" if late > 0 else f"ครบกำหนดในอีก {-late:.0f} วัน"
        return f"{row['due_en']} is {when_en}", f"{row['due_th']} {when_th}"
    if name in ("cross_sell", "nurture"):
        return (
            f"{row['fresh_en']} fits and was never taken here",
            f"{row['fresh_th']} เหมาะกับลูกค้าและยังไม่เคยทำที่นี่",
        )
    if name == "win_back":
        return f"no visit for {days:.0f} days", f"ไม่ได้มา {days:.0f} วัน"
    if name == "vip_care":
        return (
            f"among the most valuable customers: {row['ltv_12m_thb']:,.0f} THB expected within a year",
            f"เป็นลูกค้าที่มีมูลค่าสูง คาดว่าจะใช้จ่าย {row['ltv_12m_thb']:,.0f} บาทใน 12 เดือน",
        )
    if name == "ask_review":
        return f"visited {days:.0f} days ago and was not unhappy", f"มาเมื่อ {days:.0f} วันก่อนและไม่มีเรื่องไม่พอใจ"
    if row["is_barred"]:
        return "must not be contacted", "ห้ามติดต่อ"
    if row["is_capped"]:
        return "was contacted as often as allowed", "ติดต่อครบจำนวนครั้งที่กำหนดแล้ว"
    if not row["has_consent"]:
        return "no consent to marketing on record", "ยังไม่ได้ยินยอมรับข่าวสาร"
    if row["is_booked"]:
        return "a visit is booked already", "มีนัดล่วงหน้าแล้ว"
    return "no action is worth its cost now", "ยังไม่มีสิ่งใดที่คุ้มค่าในตอนนี้"


def _obstacle(action: Action, row: dict) -> tuple[str, str]:
    """Why an action was no choice at all."""
    if row["is_barred"] or row["is_capped"] or (action.marketing and not row["has_consent"]):
        return _reason("do_nothing", row)
    return "nothing calls for it now", "ยังไม่มีเหตุให้ทำ"


def _prior(action: Action) -> Uplift:
    return Uplift(action.uplift, action.low, action.high, "prior" if action.uplift else "none")
