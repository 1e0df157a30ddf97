"""Values as people read them, in Thai or English: numbers, ฿, shares, days. What a column holds is told by its name."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Bangkok")
NOTHING = "–"
BUDDHIST_YEARS = 543
MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "th": ["ม.ค.", "ก.พ.", "มี.ค.", "เม.ย.", "พ.ค.", "มิ.ย.", "ก.ค.", "ส.ค.", "ก.ย.", "ต.ค.", "พ.ย.", "ธ.ค."],
}
DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T")
SHARE = re.compile(
    r"(probability|retention|conversion|coverage|confidence|similarity|share|rate)(_|$)"
    r"|^adjusted_|^win_(low|high)$|^change$"
)
COMPACT = ((1_000_000, "M", " ล้าน"), (10_000, "k", " พัน"))


def number(value: float | None, decimals: int = 0) -> str:
    """1,234 or 1.2; a true minus sign."""
    if value is None:
        return NOTHING
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def baht(value: float | None) -> str:
    """฿1,234; a negative amount has its sign in front."""
    if value is None:
        return NOTHING
    return f"{'−' if round(value) < 0 else ''}฿{abs(round(value)):,}"


def short_baht(value: float | None, language: str) -> str:
    """฿1.2M: for axes and small cells."""
    if value is None:
        return NOTHING
    for size, english, thai in COMPACT:
        if abs(value) >= size:
            unit = 1_000 if size == 10_000 else size
            amount = f"{abs(value) / unit:.1f}".removesuffix(".0")
            return f"{'−' if value < 0 else ''}฿{amount}{thai if language == 'th' else english}"
    return baht(value)


def percent(value: float | None, decimals: int = 0) -> str:
    """A share of 0 to 1 in percent."""
    return NOTHING if value is None else f"{number(100 * value, decimals)}%"


def day(value: str | date | None, language: str) -> str:
    """25 Nov 2026, or 25 พ.ย. 2569."""
    if value is None:
        return NOTHING
    found = date.fromisoformat(value[:10]) if isinstance(value, str) else value
    return f"{found.day} {month(found, language)}"


def month(value: str | date, language: str) -> str:
    """Nov 2026, or พ.ย. 2569."""
    found = date.fromisoformat(value[:10]) if isinstance(value, str) else value
    year = found.year + (BUDDHIST_YEARS if language == "th" else 0)
    return f"{MONTHS[language][found.month - 1]} {year}"


def short_day(value: str | date, language: str) -> str:
    """25 Nov: where the year is plain."""
    found = date.fromisoformat(value[:10]) if isinstance(value, str) else value
    return f"{found.day} {MONTHS[language][found.month - 1]}"


def moment(value: str | datetime | None, language: str) -> str:
    """25 Nov 2026, 17:30 in Bangkok."""
    if value is None:
        return NOTHING
    found = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(ZONE)
    time = f"{found:%H:%M}"
    said = day(found.date(), language)
    return f"{said} {time} น." if language == "th" else f"{said}, {time}"


def shown(column: str, value: Any, language: str) -> str:
    """Any value of a mart's column; words are left as they are."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return {"en": ("no", "yes"), "th": ("ไม่", "ใช่")}[language][value]
    if isinstance(value, list):
        return " · ".join(str(one) for one in value) or NOTHING
    if isinstance(value, int | float):
        return _figure(column, value)
    if DAY.match(value):
        return month(value, language) if column.endswith("month") else day(value, language)
    return moment(value, language) if MOMENT.match(value) else value


def _figure(column: str, value: float) -> str:
    if column.endswith("_thb") or column.startswith("thb_p"):
        return baht(value)
    if SHARE.search(column) and abs(value) <= 1:
        return percent(value, 0 if isinstance(value, int) else 1)
    return number(value, 0 if isinstance(value, int) or value == int(value) else 2 if abs(value) < 100 else 0)
