"""What the API shows: one entry a mart. The SQL is made from these entries in `queries`."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """Columns and their types, all in one direction: unique within a clinic, an index behind them, and of types whose
    comparison is leakproof, since row-level security makes a filter of any other index condition."""

    columns: tuple[tuple[str, str], ...]
    descending: bool = False


@dataclass(frozen=True)
class Filter:
    """A query parameter that narrows a list."""

    name: str
    column: str
    kind: str
    operator: str = "="
    """=, >=, contains (a part of the text, in either case) or addressed: to this user or to everybody. The user of a
    token cannot ask for what is addressed to another."""


@dataclass(frozen=True)
class Part:
    """Rows of another relation that are shown with a single row, found by the same key."""

    name: str
    relation: str
    order: str
    personal: frozenset[str] = frozenset()
    """Columns that are left out for readers without the scope `personal`."""


@dataclass(frozen=True)
class Resource:
    """A relation of `aura_marts` and how it is asked for. `name` is its path below /v1; a {key} in it makes it a list
    below one row of `parent`. `orders`: the first is the default, others are asked for with ?order=."""

    name: str
    relation: str
    about: str
    orders: tuple[tuple[str, Order], ...]
    filters: tuple[Filter, ...] = ()
    item: tuple[str, str] | None = None
    """Key column and type, where a single row can be asked for."""
    parts: tuple[Part, ...] = ()
    personal: frozenset[str] = frozenset()
    """Columns that are masked for readers without the scope `personal`."""
    parent: str | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def parent_key(self) -> str:
        """The column that the {key} of the path is compared with."""
        found = re.search(r"{(\w+)}", self.name)
        return found[1] if found else ""

    @property
    def about_people(self) -> bool:
        """Whether reading it is noted: customers and leads, and what stands below them."""
        return self.tag in ("customers", "leads")

    @property
    def tag(self) -> str:
        """The group of the document that it stands in."""
        name = self.name.partition("/")[0]
        return next(tag for tag, names in GROUPS.items() if name in names)

    @property
    def relations(self) -> list[str]:
        return [self.relation, *(part.relation for part in self.parts)]


GROUPS = {
    "customers": {"customers", "next-best-actions"},
    "leads": {"leads"},
    "analytics": {"funnel", "cohorts", "forecast", "win-map", "staff", "voice-days", "voice-topics"},
    "triggers": {"trigger-events", "trigger-effects"},
    "notifications": {"notifications"},
    "models": {"models", "model-candidates", "score-feedback"},
    "clinic": {"clinic", "staff-members", "health"},
}


def _by(*columns: tuple[str, str], descending: bool = False, name: str = "default") -> tuple[str, Order]:
    return name, Order(columns, descending)


def _equal(*columns: tuple[str, str]) -> tuple[Filter, ...]:
    return tuple(Filter(name, name, kind) for name, kind in columns)


RESOURCES = (
    Resource(
        "customers",
        "aura_marts.customer_360",
        "Customers with visits, revenue, churn, lifetime value and reasons; those likeliest to leave first, or those "
        "with the most revenue at risk.",
        (
            _by(("churn_rank", "int"), ("customer_id", "uuid"), descending=True, name="churn"),
            _by(("risk_rank", "bigint"), ("customer_id", "uuid"), descending=True, name="risk"),
        ),
        (
            *_equal(("churn_level", "text"), ("status", "text"), ("sales_user_id", "uuid")),
            Filter("min_ltv_thb", "ltv_12m_thb", "numeric", ">="),
            Filter("text", "full_name", "text", "contains"),
        ),
        item=("customer_id", "uuid"),
        parts=(
            Part(
                "recommendations",
                "aura_marts.treatment_recommendations",
                "t.kind, t.rank",
                frozenset({"caution_en", "caution_th"}),
            ),
            Part("next_best_action", "aura_marts.next_best_actions", "t.customer_id"),
        ),
        personal=frozenset({"full_name", "email", "phone"}),
    ),
    Resource(
        "customers/{customer_id}/timeline",
        "aura_marts.customer_timeline",
        "What happened between a customer and the clinic, latest first: conversations, visits, purchases, stages.",
        (_by(("occurred_at", "timestamptz"), ("event_id", "uuid"), descending=True),),
        _equal(("kind", "text"), ("status", "text")),
        parent="aura_marts.customer_360",
    ),
    Resource(
        "customers/{customer_id}/recommendations",
        "aura_marts.treatment_recommendations",
        "What is due again and what would be new for a customer, best first of each kind, with reasons and prices.",
        (_by(("kind", "text"), ("rank", "int")),),
        _equal(("kind", "text")),
        personal=frozenset({"caution_en", "caution_th"}),
        parent="aura_marts.customer_360",
    ),
    Resource(
        "customers/{customer_id}/similar",
        "aura_marts.similar_customers",
        "The customers of the clinic who are most like this one, by profile and behaviour.",
        (_by(("rank", "int")),),
        personal=frozenset({"full_name"}),
        parent="aura_marts.customer_360",
    ),
    Resource(
        "customers/{customer_id}/network",
        "aura_marts.customer_referrals",
        "Whom a customer brought, directly or through others, and what they have paid.",
        (_by(("depth", "int"), ("referred_customer_id", "uuid")),),
        personal=frozenset({"full_name"}),
        parent="aura_marts.customer_360",
    ),
    Resource(
        "next-best-actions",
        "aura_marts.next_best_actions",
        "What to do about each customer next, with the gain expected, the runner-up and why; highest gain first.",
        (_by(("expected_value_thb", "float8"), ("customer_id", "uuid"), descending=True),),
        _equal(("action", "text")),
        item=("customer_id", "uuid"),
    ),
    Resource(
        "leads",
        "aura_marts.lead_board",
        "Open leads with win probability, score and reasons; highest score first, or latest first.",
        (
            _by(("score", "int"), ("lead_id", "uuid"), descending=True, name="score"),
            _by(("created_at", "timestamptz"), ("lead_id", "uuid"), descending=True, name="date"),
        ),
        _equal(("category", "text"), ("stage", "text"), ("sales_user_id", "uuid")),
        item=("lead_id", "uuid"),
        parts=(Part("history", "aura_marts.lead_stages", "t.valid_from, t.stage"),),
        personal=frozenset({"name", "email", "phone"}),
    ),
    Resource(
        "funnel",
        "aura_marts.sales_funnel",
        "How far the leads of each month and source came.",
        (_by(("month", "date"), ("source", "text"), ("stage", "text")),),
        _equal(("month", "date"), ("source", "text")),
    ),
    Resource(
        "cohorts",
        "aura_marts.cohort_retention",
        "Retention and revenue by cohort and month.",
        (_by(("cohort_month", "date"), ("month_number", "int")),),
        _equal(("cohort_month", "date")),
    ),
    Resource(
        "forecast",
        "aura_marts.pipeline_forecast",
        "Wins and THB that the open leads will bring, with how right such forecasts were.",
        (_by(("stage", "text"), ("horizon_days", "int")),),
        _equal(("stage", "text"), ("horizon_days", "int")),
    ),
    Resource(
        "win-map",
        "aura_marts.win_probability_map",
        "Open leads by engagement and value.",
        (_by(("engagement_band", "text"), ("value_band", "text")),),
    ),
    Resource(
        "staff",
        "aura_marts.staff_performance",
        "How sales people do with the leads they were given, adjusted for the leads' quality.",
        (_by(("sales_user_id", "uuid")),),
        item=("sales_user_id", "uuid"),
    ),
    Resource(
        "voice-days",
        "aura_marts.voice_of_customer_daily",
        "Sentiment, satisfaction and concerns of each day, latest first.",
        (_by(("day", "date"), descending=True),),
    ),
    Resource(
        "voice-topics",
        "aura_marts.voice_topics",
        "What customers talk about, beside the four weeks before.",
        (_by(("topic", "text")),),
    ),
    Resource(
        "trigger-events",
        "aura_marts.trigger_events",
        "Decisions of the trigger rules, latest first.",
        (_by(("decided_at", "timestamptz"), ("event_id", "uuid"), descending=True),),
        _equal(("rule", "text"), ("status", "text")),
        item=("event_id", "uuid"),
    ),
    Resource(
        "trigger-effects",
        "aura_marts.trigger_effects",
        "Whether each rule helps: the told beside those held out at random, and in words what can be said.",
        (_by(("rule", "text"), ("outcome", "text")),),
        _equal(("rule", "text"), ("verdict", "text")),
    ),
    Resource(
        "notifications",
        "aura_marts.notifications",
        "News for the people of the clinic, latest first.",
        (
            _by(("notification_id", "bigint"), descending=True, name="latest"),
            _by(("notification_id", "bigint"), name="oldest"),
        ),
        (*_equal(("type", "text")), Filter("recipient_user_id", "recipient_user_id", "uuid", "addressed")),
    ),
    Resource(
        "health",
        "aura_marts.pipeline_health",
        "How much there is of each source, how fresh it is, and what is on no customer's timeline.",
        (_by(("source", "text")),),
    ),
    Resource(
        "models",
        "aura_marts.model_performance",
        "Every model version, its figures and why it was promoted.",
        (_by(("model", "text"), ("version", "int")),),
        _equal(("model", "text")),
    ),
    Resource(
        "score-feedback",
        "aura_marts.score_feedback",
        "How often people found the scores of each model version right.",
        (_by(("model", "text"), ("model_version", "int")),),
        _equal(("model", "text")),
    ),
    Resource(
        "model-candidates",
        "aura_marts.model_candidates",
        "What each training compared, baselines included, on the same held-out rows.",
        (_by(("model", "text"), ("version", "int"), ("candidate", "text")),),
        _equal(("model", "text")),
    ),
    Resource(
        "clinic",
        "aura_marts.clinic_profiles",
        "The clinic itself: code and names.",
        (_by(("clinic_code", "text")),),
    ),
    Resource(
        "staff-members",
        "aura_marts.staff_members",
        "The people of the clinic: whom the ids of staff mean.",
        (_by(("user_id", "uuid")),),
        personal=frozenset({"full_name"}),
    ),
)
