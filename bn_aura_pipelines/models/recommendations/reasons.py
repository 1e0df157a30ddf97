"""Why a treatment is recommended, in plain English and Thai, with the customer's own numbers."""

from __future__ import annotations


def rebook_reason(
    name_en: str, name_th: str, days: float, gap: float | None, own: bool, times: int, uses_of_course: int | None
) -> tuple[str, str]:
    """`gap`: days between two, the customer's own or others' usual ones; `uses_of_course`: visits since a course was
    bought, None where none was."""
    english, thai = f"last {name_en} {_ago(days)}", f"ทำ{name_th}ครั้งล่าสุด{_ago_th(days)}"
    if uses_of_course is not None:
        used = f"used {uses_of_course} times since" if uses_of_course != 1 else "used once since"
        return f"{english}; a course was bought, {used}", f"{thai} ซื้อคอร์สไว้ ใช้ไปแล้ว {uses_of_course} ครั้ง"
    if gap is None:
        return (f"{english}, {_times(times)} so far", f"{thai} เคยทำมาแล้ว {times} ครั้ง")
    if own:
        return f"{english}, usually every {gap:.0f}", f"{thai} ปกติทำทุก {gap:.0f} วัน"
    return f"{english}; others come back after {gap:.0f}", f"{thai} โดยทั่วไปทำซ้ำใน {gap:.0f} วัน"


def together_reason(name_en: str, name_th: str, had_en: str, had_th: str, share: float) -> tuple[str, str]:
    """`share`: of those who had the other treatment, who have had this one too."""
    return (
        f"of those who had {had_en}, {share:.0%} also take {name_en}",
        f"ลูกค้าที่ทำ{had_th} {share:.0%} ทำ{name_th}ด้วย",
    )


def similar_reason(name_en: str, name_th: str, number: int, of: int) -> tuple[str, str]:
    return (
        f"{number} of the {of} most similar customers have had {name_en}",
        f"ลูกค้าที่คล้ายกัน {number} จาก {of} คนเคยทำ{name_th}",
    )


def popular_reason(name_en: str, name_th: str, share: float) -> tuple[str, str]:
    return (
        f"{share:.0%} of the clinic's customers have had {name_en}",
        f"ลูกค้าของคลินิก {share:.0%} เคยทำ{name_th}",
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _ago(days: float) -> str:
    return "today" if days < 0.5 else "yesterday" if days < 1.5 else f"{days:.0f} days ago"


def _ago_th(days: float) -> str:
    return "วันนี้" if days < 0.5 else "เมื่อวาน" if days < 1.5 else f" {days:.0f} วันก่อน"
