"""Why the next best action, and why not the runner-up: in plain English and Thai, with the customer's own numbers."""

from __future__ import annotations

from typing import Any

from bn_aura_pipelines.marts.uplift import Uplift

NAMED = {
    "rebook": ("remind of {treatment}", "เตือนนัด{treatment}"),
    "cross_sell": ("suggest {treatment}", "แนะนำ{treatment}"),
    "win_back": ("win back", "ชวนกลับมาใช้บริการ"),
    "nurture": ("tell about {treatment}", "ให้ข้อมูลเรื่อง{treatment}"),
    "vip_care": ("a personal call", "โทรดูแลเป็นพิเศษ"),
    "ask_review": ("ask for a review", "ขอรีวิว"),
    "do_nothing": ("do nothing", "ยังไม่ต้องติดต่อ"),
}
Row = dict[str, Any]


def explain(
    row: Row, action: str, other: str, gain: float, other_gain: float, uplift: Uplift, may: bool
) -> tuple[str, str, str, str]:
    """Why `action`, and why not `other`, each in English and Thai.

    `row`: the customer as `actions.CUSTOMERS` reads it; gains in THB, -inf where `other` was no choice; `uplift` is the
    other's; `may`: whether the customer may be contacted about it at all.
    """
    english, thai = _reason(action, row)
    if action != "do_nothing":
        english += f"; expected gain {gain:,.0f} THB"
        thai += f" คาดว่าจะได้กำไรเพิ่ม {gain:,.0f} บาท"
    name_en, name_th = _named(other, row)
    less_en, less_th = _less(row, gain - other_gain, uplift, may)
    return english, thai, f"{name_en}: {less_en}", f"{name_th}: {less_th}"


def _less(row: Row, difference: float, uplift: Uplift, may: bool) -> tuple[str, str]:
    """Why the second choice lost, or was no choice at all."""
    if not may:
        return _reason("do_nothing", row)
    if difference == float("inf"):
        return "nothing calls for it now", "ยังไม่มีเหตุให้ทำ"
    if uplift.basis == "prior" and uplift.mean <= 0:
        return "not shown to bring anybody in yet", "ยังไม่มีหลักฐานว่าช่วยให้ลูกค้ากลับมา"
    return f"{difference:,.0f} THB less", f"ได้น้อยกว่า {difference:,.0f} บาท"


def _named(name: str, row: Row) -> tuple[str, str]:
    kind = "due" if name == "rebook" else "fresh"
    english, thai = (row[f"{kind}_{language}"] for language in ("en", "th"))
    return (
        NAMED[name][0].format(treatment=english if isinstance(english, str) else "a treatment"),
        NAMED[name][1].format(treatment=thai if isinstance(thai, str) else "ทรีตเมนต์"),
    )


def _reason(name: str, row: Row) -> tuple[str, str]:
    days = row["recency_days"]
    if name == "rebook":
        late = -row["due_in_days"]
        when_en = "due today" if late == 0 else f"{_days(late)} overdue" if late > 0 else f"due in {_days(-late)}"
        when_th = f"เลยกำหนด {late:.0f} วัน" if late > 0 else f"ครบกำหนดในอีก {-late:.0f} วัน"
        when_th = "ครบกำหนดวันนี้" if late == 0 else when_th
        return f"{row['due_en']} is {when_en}", f"{row['due_th']} {when_th}"
    if name in ("cross_sell", "nurture"):
        return (
            f"{row['fresh_en']} fits and was never taken here",
            f"{row['fresh_th']} เหมาะกับลูกค้าและยังไม่เคยทำที่นี่",
        )
    if name == "win_back":
        return f"no visit for {_days(days)}", f"ไม่ได้มา {days:.0f} วัน"
    if name == "vip_care":
        return (
            f"among the most valuable customers: {row['ltv_12m_thb']:,.0f} THB expected within a year",
            f"เป็นลูกค้าที่มีมูลค่าสูง คาดว่าจะใช้จ่าย {row['ltv_12m_thb']:,.0f} บาทใน 12 เดือน",
        )
    if name == "ask_review":
        return f"visited {_days(days)} ago and was not unhappy", f"มาเมื่อ {days:.0f} วันก่อนและไม่มีเรื่องไม่พอใจ"
    if row["is_barred"]:
        return "must not be contacted", "ห้ามติดต่อ"
    if row["is_capped"]:
        return "was contacted as often as allowed", "ติดต่อครบจำนวนครั้งที่กำหนดแล้ว"
    if not row["has_consent"]:
        return "no consent to marketing on record", "ยังไม่ได้ยินยอมรับข่าวสาร"
    if row["is_booked"]:
        return "a visit is booked already", "มีนัดล่วงหน้าแล้ว"
    return "no action is worth its cost now", "ยังไม่มีสิ่งใดที่คุ้มค่าในตอนนี้"


def _days(number: float) -> str:
    return "1 day" if round(number) == 1 else f"{number:.0f} days"
