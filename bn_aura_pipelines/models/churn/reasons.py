"""Why a customer has this churn score: the strongest topics of the model, in plain Thai and English, with own numbers.

Which numbers the model weighs is in `candidates`; here they become sentences that a receptionist reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bn_aura_pipelines.models.churn.candidates import FEATURES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MOST_REASONS = 3

# The season itself says nothing about the person and is no reason.
TOPICS = {
    "rhythm": ("recency_days", "lateness", "gap_mean_days", "gap_std_days", "bgnbd_logit", "bgnbd_alive"),
    "visits": ("visits", "visits_90d", "visits_180d", "visits_365d"),
    "spending": ("revenue_thb", "revenue_90d_thb", "revenue_365d_thb", "ticket_thb", "last_ticket_thb"),
    "attendance": ("cancellations_365d", "no_shows_365d"),
    "contact": ("conversations_90d", "customer_messages_90d", "days_since_message"),
    "booking": ("days_since_booking", "bookings_since_visit", "has_booking_ahead", "booking_ahead_days"),
    "tenure": ("tenure_days",),
    "treatments": ("treatments_per_visit",),
    "last_year": ("same_month_last_year",),
}


def write_reasons(rows: pd.DataFrame, contributions: Array, raised: NDArray[np.bool_]) -> tuple[list[str], list[str]]:
    """English and Thai reasons of snapshot rows (n), joined by "; ", strongest first.

    `contributions` (n, len(FEATURES)) in log-odds. Where the score is `raised` (n,) the topics that raise it are named,
    elsewhere those that lower it.
    """
    import numpy as np

    by_topic = np.column_stack(
        [contributions[:, [FEATURES.index(name) for name in names]].sum(axis=1) for names in TOPICS.values()]
    )
    toward = np.where(raised[:, None], by_topic, -by_topic)
    order = np.argsort(-toward, axis=1, kind="stable")[:, :MOST_REASONS]
    pushing = np.take_along_axis(toward, order, axis=1) > 0
    pushing[:, 0] = True  # somebody must be named
    english, thai = _sentences(rows)
    return _join(english, order, pushing), _join(thai, order, pushing)


def _join(sentences: list[list[str]], order: NDArray[np.intp], pushing: NDArray[np.bool_]) -> list[str]:
    chosen = zip(zip(*sentences, strict=True), order.tolist(), pushing.tolist(), strict=True)
    return [
        "; ".join(row[topic] for topic, pushes in zip(topics, pushed, strict=True) if pushes)
        for row, topics, pushed in chosen
    ]


def _sentences(rows: pd.DataFrame) -> tuple[list[list[str]], list[list[str]]]:
    """For each topic, in the order of TOPICS, the sentence of every row: English, Thai."""
    column = {name: rows[name].tolist() for name in rows.columns}
    both: list[list[tuple[str, str]]] = [
        [_rhythm(*values) for values in zip(column["recency_days"], column["gap_mean_days"], strict=True)],
        [
            (
                f"{year:.0f} visits in the last year, {quarter:.0f} in the last 90 days",
                f"มา {year:.0f} ครั้งในปีที่ผ่านมา และ {quarter:.0f} ครั้งใน 90 วันล่าสุด",
            )
            for year, quarter in zip(column["visits_365d"], column["visits_90d"], strict=True)
        ],
        [
            (
                f"spent {year:,.0f} THB in the last year, {ticket:,.0f} THB a visit",
                f"ใช้จ่าย {year:,.0f} บาทในปีที่ผ่านมา เฉลี่ย {ticket:,.0f} บาทต่อครั้ง",
            )
            for year, ticket in zip(column["revenue_365d_thb"], column["ticket_thb"], strict=True)
        ],
        [
            (
                f"{cancelled:.0f} cancelled and {missed:.0f} missed appointments in the last year",
                f"ยกเลิกนัด {cancelled:.0f} ครั้ง และไม่มาตามนัด {missed:.0f} ครั้งในปีที่ผ่านมา",
            )
            for cancelled, missed in zip(column["cancellations_365d"], column["no_shows_365d"], strict=True)
        ],
        [
            _contact(*values)
            for values in zip(column["customer_messages_90d"], column["days_since_message"], strict=True)
        ],
        [
            _booking(*values)
            for values in zip(column["booking_ahead_days"], column["days_since_booking"], strict=True)
        ],
        [(f"customer for {days:,.0f} days", f"เป็นลูกค้ามา {days:,.0f} วัน") for days in column["tenure_days"]],
        [
            (f"{number:.1f} treatments a visit", f"ทำเฉลี่ย {number:.1f} รายการต่อครั้ง")
            for number in column["treatments_per_visit"]
        ],
        [
            (
                f"{number:.0f} visits in the same season last year",
                f"ช่วงเดียวกันของปีก่อนมา {number:.0f} ครั้ง",
            )
            for number in column["same_month_last_year"]
        ],
    ]
    return [[pair[0] for pair in topic] for topic in both], [[pair[1] for pair in topic] for topic in both]


def _rhythm(recency: float, gap: float) -> tuple[str, str]:
    if gap != gap:  # one visit: no gap yet
        return (
            f"last visit {recency:.0f} days ago, the only one so far",
            f"มาครั้งล่าสุด {recency:.0f} วันก่อน และเคยมาเพียงครั้งเดียว",
        )
    return (
        f"last visit {recency:.0f} days ago, usually every {gap:.0f}",
        f"มาครั้งล่าสุด {recency:.0f} วันก่อน ปกติมาทุก {gap:.0f} วัน",
    )


def _contact(messages: float, silence: float) -> tuple[str, str]:
    if messages:
        return f"wrote {messages:.0f} messages in the last 90 days", f"ทักมา {messages:.0f} ข้อความใน 90 วันล่าสุด"
    if silence != silence:
        return "has never written", "ยังไม่เคยทักมา"
    return f"has not written for {silence:.0f} days", f"ไม่ได้ทักมา {silence:.0f} วัน"


def _booking(ahead: float, since: float) -> tuple[str, str]:
    if ahead != ahead:
        return (
            f"no visit booked, the last booking was for {since:.0f} days ago",
            f"ไม่มีนัดล่วงหน้า นัดครั้งล่าสุดเมื่อ {since:.0f} วันก่อน",
        )
    return f"next visit booked in {ahead:.0f} days", f"มีนัดครั้งต่อไปในอีก {ahead:.0f} วัน"
