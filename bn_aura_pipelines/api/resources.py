"""What the API shows: one entry a mart. Queries are made from these entries, and from nothing that a client sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Resource:
    """A relation of `aura_marts`, the order of its pages (unique, an index behind it), and what can be filtered by."""

    name: str
    relation: str
    about: str
    order: tuple[tuple[str, str], ...]
    """Columns and types; all in one direction."""
    descending: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)
    item: tuple[str, str] | None = None
    """Key column and type, where a single row can be asked for."""

    @property
    def page_query(self) -> str:
        """One page as {"items": [...], "next": {...} or null}. Arguments: limit, after (the order columns of the last
        row) and the filters. One row more than asked for is read, to know whether there is a next page."""
        columns = ", ".join(f"t.{name}" for name, _ in self.order)
        after = ", ".join(f"($1 -> 'after' ->> '{name}')::{kind}" for name, kind in self.order)
        direction = " desc" if self.descending else ""
        compare = "<" if self.descending else ">"
        where = [f"($1 -> 'after' is null or jsonb_typeof($1 -> 'after') = 'null' or ({columns}) {compare} ({after}))"]
        where += [f"(not $1 ? '{name}' or t.{name} = ($1 ->> '{name}')::{kind})" for name, kind in self.filters.items()]
        ordered = ", ".join(f"t.{name}{direction}" for name, _ in self.order)
        cursor = ", ".join(f"'{name}', p.{name}" for name, _ in self.order)
        return f"""
            with page as (
                select t.*, row_number() over (order by {ordered}) as place
                from {self.relation} as t where {" and ".join(where)}
                order by {ordered} limit ($1 ->> 'limit')::int + 1
            )
            select jsonb_build_object(
                'items', coalesce(
                    jsonb_agg(to_jsonb(p) - 'place' - 'clinic_id' order by p.place)
                    filter (where p.place <= ($1 ->> 'limit')::int), '[]'::jsonb
                ),
                'next', case when count(*) > ($1 ->> 'limit')::int then (
                    select jsonb_build_object({cursor}) from page as p where p.place = ($1 ->> 'limit')::int
                ) end
            ) from page as p
        """

    @property
    def item_query(self) -> str:
        """One row by its key; null where the clinic has none."""
        assert self.item is not None
        column, kind = self.item
        return f"select to_jsonb(t) - 'clinic_id' from {self.relation} as t where t.{column} = ($1 ->> 'key')::{kind}"


RESOURCES = (
    Resource(
        "customers",
        "aura_marts.customer_360",
        "Customers with visits, revenue, churn score and reasons; highest score first.",
        (("churn_rank", "int"), ("customer_id", "uuid")),
        descending=True,
        filters={"churn_level": "text", "status": "text"},
        item=("customer_id", "uuid"),
    ),
    Resource(
        "cohorts",
        "aura_marts.cohort_retention",
        "Retention and revenue by cohort and month.",
        (("cohort_month", "date"), ("month_number", "int")),
        filters={"cohort_month": "date"},
    ),
    Resource(
        "funnel",
        "aura_marts.sales_funnel",
        "How far the leads of each month and source came.",
        (("month", "date"), ("source", "text"), ("stage", "text")),
        filters={"month": "date", "source": "text"},
    ),
    Resource(
        "trigger-events",
        "aura_marts.trigger_events",
        "Decisions of the trigger rules, latest first.",
        (("decided_at", "timestamptz"), ("event_id", "uuid")),
        descending=True,
        filters={"rule": "text", "status": "text"},
        item=("event_id", "uuid"),
    ),
    Resource(
        "leads",
        "aura_marts.lead_board",
        "Leads with win probability, score and reasons; highest score first.",
        (("score", "int"), ("lead_id", "uuid")),
        descending=True,
        filters={"category": "text", "stage": "text"},
        item=("lead_id", "uuid"),
    ),
    Resource(
        "models",
        "aura_marts.model_performance",
        "Every model version, its figures and why it was promoted.",
        (("model", "text"), ("version", "int")),
        filters={"model": "text"},
    ),
    Resource(
        "model-candidates",
        "aura_marts.model_candidates",
        "What each training compared, baselines included, on the same held-out rows.",
        (("model", "text"), ("version", "int"), ("candidate", "text")),
        filters={"model": "text"},
    ),
    Resource(
        "forecast",
        "aura_marts.pipeline_forecast",
        "Wins and THB that the open leads will bring, with how right such forecasts were.",
        (("stage", "text"), ("horizon_days", "int")),
        filters={"stage": "text", "horizon_days": "int"},
    ),
    Resource(
        "win-map",
        "aura_marts.win_probability_map",
        "Open leads by engagement and value.",
        (("engagement_band", "text"), ("value_band", "text")),
    ),
    Resource(
        "staff",
        "aura_marts.staff_performance",
        "How sales people do with the leads they were given, adjusted for the leads' quality.",
        (("sales_user_id", "uuid"),),
        item=("sales_user_id", "uuid"),
    ),
    Resource(
        "voice-days",
        "aura_marts.voice_of_customer_daily",
        "Sentiment, satisfaction and concerns of each day, latest first.",
        (("day", "date"),),
        descending=True,
    ),
    Resource(
        "voice-topics",
        "aura_marts.voice_topics",
        "What customers talk about, beside the four weeks before.",
        (("topic", "text"),),
    ),
)
