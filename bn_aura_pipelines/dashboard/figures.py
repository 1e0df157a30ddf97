"""The figures: what each asks the marts, in SQL. A chart, its table and its CSV are the rows of one figure.

In each query about.clinic_id is the clinic and about.arguments what is asked, see `api.queries`; row-level security
says the clinic too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bn_aura_pipelines.api.queries import FRONT, answer

MARTS = "aura_marts"
MOST_ROWS = 5_000


@dataclass(frozen=True)
class Figure:
    """`columns` are shown in this order; each is named and defined as in the first of `relations`. `arguments`: what
    may be asked, with the values allowed; the first is the default."""

    name: str
    relations: tuple[str, ...]
    columns: tuple[str, ...]
    sql: str
    arguments: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def relation(self) -> str:
        return self.relations[0]

    @property
    def statement(self) -> str:
        """It answers as the API's own do."""
        items = "coalesce(json_agg(to_json(found)), '[]'::json)"
        query = f"select json_build_object({FRONT}, 'items', {items}) from ({self.sql} limit {MOST_ROWS}) as found"
        return answer(self.relations, query)

    @property
    def defaults(self) -> dict[str, object]:
        return {name: values[0] for name, values in self.arguments.items()}


def _mart(name: str, *columns: str, order: str, where: str = "") -> tuple[tuple[str, ...], tuple[str, ...], str]:
    relation = f"{MARTS}.{name}"
    chosen = ", ".join(f"t.{column}" for column in columns)
    return (
        (relation,),
        columns,
        f"select {chosen} from {relation} as t where t.clinic_id = about.clinic_id {where} order by {order}",
    )


MONTHS = ("12", "3", "6", "1", "24")
_LATEST = "m.month > (select max(l.month) from aura_marts.sales_funnel as l where l.clinic_id = about.clinic_id) - make_interval(months => (about.arguments ->> 'months')::int)"  # noqa: E501

FIGURES = (
    Figure(
        "funnel",
        (f"{MARTS}.sales_funnel",),
        ("stage", "entered", "moved_on", "still_there", "lost", "conversion"),
        f"""
        select
            m.stage,
            sum(m.entered) as entered,
            sum(m.moved_on) as moved_on,
            sum(m.still_there) as still_there,
            sum(m.lost) as lost,
            case when m.stage <> 'won' then sum(m.moved_on)::float8 / nullif(sum(m.entered), 0) end as conversion
        from aura_marts.sales_funnel as m
        where m.clinic_id = about.clinic_id and {_LATEST}
            and (about.arguments ->> 'source' = '' or m.source = about.arguments ->> 'source')
        group by m.stage, m.stage_number
        order by m.stage_number
        """,
        {"months": MONTHS, "source": ("",)},
    ),
    Figure(
        "sources",
        (f"{MARTS}.sales_funnel",),
        ("source", "entered"),
        f"""
        select m.source, sum(m.entered) as entered
        from aura_marts.sales_funnel as m
        where m.clinic_id = about.clinic_id and m.stage_number = 1 and {_LATEST}
        group by m.source order by 2 desc, 1
        """,
        {"months": MONTHS},
    ),
    Figure(
        "forecast",
        *_mart(
            "pipeline_forecast",
            *("horizon_days", "open_leads", "wins_p10", "wins_p50", "wins_p90", "thb_p10", "thb_p50", "thb_p90"),
            *("backtest_months", "wins_coverage", "thb_coverage"),
            where="and t.stage = 'all'",
            order="t.horizon_days",
        ),
    ),
    Figure(
        "forecast-by-stage",
        *_mart(
            "pipeline_forecast",
            *("stage", "open_leads", "wins_p10", "wins_p50", "wins_p90", "thb_p10", "thb_p50", "thb_p90"),
            where="and t.stage <> 'all' and t.horizon_days = (about.arguments ->> 'days')::int",
            order=(
                "array_position(array['new', 'contacted', 'qualified', 'proposal_sent', 'negotiation'], t.stage),"
                " t.stage"
            ),
        ),
        {"days": ("90", "30", "60")},
    ),
    Figure(
        "cohorts",
        *_mart(
            "cohort_retention",
            *("cohort_month", "cohort_size", "month_number", "active_customers", "retention", "revenue_thb"),
            "cumulative_revenue_thb",
            where=(
                "and t.month_number <= 12 and t.cohort_month > (select max(l.cohort_month) from"
                " aura_marts.cohort_retention as l where l.clinic_id = about.clinic_id)"
                " - make_interval(months => (about.arguments ->> 'months')::int)"
            ),
            order="t.cohort_month desc, t.month_number",
        ),
        {"months": ("12", "24", "6")},
    ),
    Figure(
        "win-map",
        *_mart(
            "win_probability_map",
            *("engagement_band", "value_band", "leads", "mean_win_probability", "expected_wins"),
            *("estimated_value_thb", "expected_value_thb"),
            order="t.engagement_band, t.value_band",
        ),
    ),
    Figure(
        "staff",
        *_mart(
            "staff_performance",
            *("sales_user_id", "decided_leads", "wins", "win_rate", "expected_wins", "adjusted_win_rate"),
            *("adjusted_low", "adjusted_high", "median_response_hours", "open_leads", "leads_30d"),
            "expected_wins_30d",
            order="t.adjusted_win_rate desc, t.sales_user_id",
        ),
    ),
    Figure(
        "voice-days",
        *_mart(
            "voice_of_customer_daily",
            *("day", "conversations", "positive", "neutral", "negative", "not_analysed", "failed"),
            *("mean_satisfaction", "satisfaction_low", "satisfaction_high"),
            where=(
                "and t.day > (select max(l.day) from aura_marts.voice_of_customer_daily as l"
                " where l.clinic_id = about.clinic_id) - (about.arguments ->> 'days')::int"
            ),
            order="t.day",
        ),
        {"days": ("28", "84")},
    ),
    Figure(
        "voice-topics",
        *_mart(
            "voice_topics",
            *("topic", "conversations_28d", "concerns_28d", "signals_28d", "analysed_28d", "share_28d"),
            *("share_before", "change", "z_score", "is_significant"),
            *("example_quote_1", "example_quote_2", "example_quote_3"),
            order="t.share_28d desc nulls last, t.topic",
        ),
    ),
    Figure(
        "decisions",
        (f"{MARTS}.trigger_events",),
        ("rule", "status", "reason", "decisions"),
        """
        select
            t.rule,
            t.status,
            case when t.status = 'suppressed' then t.reason else '' end as reason,
            count(*) as decisions
        from aura_marts.trigger_events as t
        where
            t.clinic_id = about.clinic_id
            and t.decided_at > (
                select max(m.decided_at) from aura_marts.trigger_events as m where m.clinic_id = about.clinic_id
            ) - make_interval(days => (about.arguments ->> 'days')::int)
        group by 1, 2, 3
        order by 1, 2, 4 desc, 3
        """,
        {"days": ("30", "7", "90")},
    ),
    Figure(
        "effects",
        *_mart(
            "trigger_effects",
            *("rule", "outcome", "told", "held_out", "told_mean", "held_out_mean", "difference", "low", "high"),
            *("always_low", "always_high", "number_needed", "verdict", "sentence_en", "sentence_th"),
            order="t.rule, t.outcome",
        ),
    ),
    Figure(
        "models",
        (f"{MARTS}.model_performance",),
        ("model", "version", "alias", "kind", "auc", "log_loss", "ece", "n_train", "n_test", "window_end", "decision"),
        """
        select m.model, m.version, m.alias, m.kind, m.auc, m.log_loss, m.ece, m.n_train, m.n_test, m.window_end,
            m.decision
        from aura_marts.model_performance as m
        where about.clinic_id is not null and m.alias is not null
        order by m.model, m.version desc
        """,
    ),
    Figure(
        "clinic",
        *_mart("clinic_profiles", "clinic_code", "name_en", "name_th", order="t.clinic_code"),
    ),
)
BY_NAME = {figure.name: figure for figure in FIGURES}
