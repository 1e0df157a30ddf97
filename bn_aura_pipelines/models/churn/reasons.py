"""Why a customer has this churn score: the strongest topics of the model, in plain Thai and English, with own numbers.

Which numbers the model weighs is in `candidates`; here they become sentences that a receptionist reads.
"""

from __future__ import annotations

from collections.abc import Callable
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
    "contact": ("conversations_90d", "customer_messages_90d", "days_since_message", "channels"),
    "answers": ("response_hours_90d",),
    "mood": ("mood_90d", "mood_slope"),
    "booking": ("days_since_booking", "bookings_since_visit", "has_booking_ahead", "booking_ahead_days"),
    "tenure": ("tenure_days",),
    "treatments": ("treatments_per_visit", "treatment_kinds"),
    "repeat": ("repeat_lateness",),
    "bonds": ("referrals_made", "was_referred", "loyalty_days"),
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
    english, thai = np.full((2, *order.shape), None, object)
    for number, topic in enumerate(TOPICS):
        place = np.nonzero((order == number) & pushing)
        columns, tell = SENTENCES[topic]
        told = rows[list(columns)].iloc[place[0]]
        pairs = [tell(*values) for values in zip(*(told[name].tolist() for name in columns), strict=True)]
        english[place] = [pair[0] for pair in pairs]
        thai[place] = [pair[1] for pair in pairs]
    return _join(english), _join(thai)


def _join(sentences: NDArray[np.object_]) -> list[str]:
    return ["; ".join(sentence for sentence in row if sentence) for row in sentences.tolist()]


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


def _visits(year: float, quarter: float) -> tuple[str, str]:
    return (
        f"{year:.0f} visits in the last year, {quarter:.0f} in the last 90 days",
        f"มา {year:.0f} ครั้งในปีที่ผ่านมา และ {quarter:.0f} ครั้งใน 90 วันล่าสุด",
    )


def _spending(year: float, ticket: float) -> tuple[str, str]:
    return (
        f"spent {year:,.0f} THB in the last year, {ticket:,.0f} THB a visit",
        f"ใช้จ่าย {year:,.0f} บาทในปีที่ผ่านมา เฉลี่ย {ticket:,.0f} บาทต่อครั้ง",
    )


def _attendance(cancelled: float, missed: float) -> tuple[str, str]:
    return (
        f"{cancelled:.0f} cancelled and {missed:.0f} missed appointments in the last year",
        f"ยกเลิกนัด {cancelled:.0f} ครั้ง และไม่มาตามนัด {missed:.0f} ครั้งในปีที่ผ่านมา",
    )


def _tenure(days: float) -> tuple[str, str]:
    return f"customer for {days:,.0f} days", f"เป็นลูกค้ามา {days:,.0f} วัน"


def _treatments(number: float, kinds: float) -> tuple[str, str]:
    return (
        f"{number:.1f} treatments a visit, {kinds:.0f} different ones so far",
        f"ทำเฉลี่ย {number:.1f} รายการต่อครั้ง รวม {kinds:.0f} ประเภท",
    )


def _repeat(lateness: float) -> tuple[str, str]:
    if lateness != lateness:
        return "no usual interval of the last treatment is known", "ยังไม่ทราบรอบการทำซ้ำของทรีตเมนต์ล่าสุด"
    return (
        f"the last treatment was {lateness:.1f} of its usual intervals ago",
        f"ผ่านมาแล้ว {lateness:.1f} เท่าของรอบปกติของทรีตเมนต์ล่าสุด",
    )


def _answers(hours: float) -> tuple[str, str]:
    if hours != hours:
        return "no message was answered in the last 90 days", "ไม่มีการตอบข้อความใน 90 วันล่าสุด"
    return f"waited {hours:.1f} hours for an answer", f"รอคำตอบเฉลี่ย {hours:.1f} ชั่วโมง"


def _mood(recent: float) -> tuple[str, str]:
    if recent != recent:
        return "no message tells the mood of the last 90 days", "ไม่มีข้อความที่บอกความรู้สึกใน 90 วันล่าสุด"
    return (
        f"words of praise less complaints in recent messages: {recent:+.1f} a message",
        f"คำชมหักด้วยคำติในข้อความล่าสุด {recent:+.1f} ต่อข้อความ",
    )


def _bonds(made: float, was_referred: float, loyal: float) -> tuple[str, str]:
    english = [f"referred {made:.0f} others"] + ["was referred"] * bool(was_referred)
    thai = [f"แนะนำเพื่อน {made:.0f} คน"] + ["มาจากการแนะนำ"] * bool(was_referred)
    if loyal == loyal:
        english.append(f"in the loyalty programme for {loyal:,.0f} days")
        thai.append(f"เป็นสมาชิกสะสมแต้มมา {loyal:,.0f} วัน")
    return ", ".join(english), " ".join(thai)


def _last_year(number: float) -> tuple[str, str]:
    return f"{number:.0f} visits in the same season last year", f"ช่วงเดียวกันของปีก่อนมา {number:.0f} ครั้ง"


# What each topic says: the columns it tells of, and the sentence in English and Thai.
SENTENCES: dict[str, tuple[tuple[str, ...], Callable[..., tuple[str, str]]]] = {
    "rhythm": (("recency_days", "gap_mean_days"), _rhythm),
    "visits": (("visits_365d", "visits_90d"), _visits),
    "spending": (("revenue_365d_thb", "ticket_thb"), _spending),
    "attendance": (("cancellations_365d", "no_shows_365d"), _attendance),
    "contact": (("customer_messages_90d", "days_since_message"), _contact),
    "booking": (("booking_ahead_days", "days_since_booking"), _booking),
    "tenure": (("tenure_days",), _tenure),
    "treatments": (("treatments_per_visit", "treatment_kinds"), _treatments),
    "repeat": (("repeat_lateness",), _repeat),
    "answers": (("response_hours_90d",), _answers),
    "mood": (("mood_90d",), _mood),
    "bonds": (("referrals_made", "was_referred", "loyalty_days"), _bonds),
    "last_year": (("same_month_last_year",), _last_year),
}
