"""Why a lead has this score: the fields that weigh most, in plain Thai and English, with their own values.

What the model weighs is in `candidates`; here it becomes sentences that a sales person reads. Notes are never quoted:
they may hold personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.models.leads.fields import Field

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MOST_REASONS = 3

# English and Thai, with the value; and what is said where the lead has none.
SENTENCES = {
    "response_hours": ("first contact after {} hours", "ติดต่อกลับครั้งแรกใน {} ชั่วโมง"),
    "staff_load_30d": ("{} other leads with the same person in 30 days", "พนักงานคนเดียวกันมีลีดอื่นอีก {} รายใน 30 วัน"),
    "messages": ("{} messages in the first days", "มี {} ข้อความในช่วงแรก"),
    "replies": ("{} replies by staff", "พนักงานตอบ {} ครั้ง"),
    "questions": ("asked {} questions", "ถามคำถาม {} ครั้ง"),
    "price_inquiries": ("asked about prices {} times", "ถามเรื่องราคา {} ครั้ง"),
    "urgency_signals": ("spoke of haste {} times", "แสดงความเร่งด่วน {} ครั้ง"),
    "budget_signals": ("spoke about budget {} times", "พูดถึงงบประมาณ {} ครั้ง"),
    "skin_score": ("skin analysis scored {} of 100", "ผลตรวจสภาพผิว {} จาก 100"),
    "has_email": ("e-mail address on record: {}", "มีอีเมล: {}"),
    "has_phone": ("telephone number on record: {}", "มีเบอร์โทร: {}"),
    "source": ("came through {}", "มาจากช่องทาง {}"),
    "primary_concern": ("concern: {}", "ความกังวลหลัก: {}"),
    "estimated_value_thb": ("estimated value {} THB", "มูลค่าประเมิน {} บาท"),
    "metadata.scoring.skinNeed": ("skin need {} of 25 points", "ความจำเป็นด้านผิว {} จาก 25 คะแนน"),
    "metadata.scoring.engagement": ("engagement {} of 25 points", "การมีส่วนร่วม {} จาก 25 คะแนน"),
    "metadata.scoring.budget": ("budget {} of 25 points", "งบประมาณ {} จาก 25 คะแนน"),
    "metadata.scoring.timing": ("timing {} of 25 points", "ความพร้อมด้านเวลา {} จาก 25 คะแนน"),
    "metadata.engagementData.pageViews": ("looked at {} pages", "ดูหน้าเว็บ {} หน้า"),
    "metadata.engagementData.secondsOnSite": ("spent {} seconds on the site", "อยู่บนเว็บไซต์ {} วินาที"),
    "metadata.analysisData.skinScan": ("skin scan done: {}", "ตรวจสภาพผิวแล้ว: {}"),
}
MISSING = {
    "response_hours": ("no first contact yet", "ยังไม่มีการติดต่อกลับ"),
    "messages": ("no conversation on record", "ไม่มีบทสนทนา"),
    "skin_score": ("no skin analysis", "ยังไม่มีผลตรวจสภาพผิว"),
    "primary_concern": ("no concern on record", "ยังไม่ระบุความกังวลหลัก"),
    "estimated_value_thb": ("no estimated value", "ยังไม่มีมูลค่าประเมิน"),
}
UNQUOTED = {
    "notes": ("what staff noted", "บันทึกของพนักงาน"),
    "season_sin": ("the time of year", "ช่วงเวลาของปี"),
    "season_cos": ("the time of year", "ช่วงเวลาของปี"),
}
YES_NO = {"has_email", "has_phone"}


def write_reasons(
    values: pd.DataFrame, fields: Sequence[Field], columns: Array, from_points: Array, total: Array, raised: Array
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """English and Thai reasons of n leads, joined by "; ", strongest first.

    `columns` (n, columns of all fields) and `from_points` (n,) are in log-odds, `total` are the points 0..100. Where
    the score is `raised` (n,) what raises it is named, elsewhere what lowers it.
    """
    import numpy as np

    rows = len(total)
    by_field = np.zeros((rows, len(fields) + 1))
    place = 0
    for number, field in enumerate(fields):
        width = len(field.columns)
        by_field[:, number] = columns[:, place : place + width].sum(axis=1)
        place += width
    by_field[:, -1] = from_points
    toward = np.where(raised[:, None], by_field, -by_field)
    most = min(MOST_REASONS, toward.shape[1])
    order = np.argsort(-toward, axis=1, kind="stable")[:, :most]
    pushing = np.take_along_axis(toward, order, axis=1) > 0.01
    pushing[:, 0] = True  # somebody must be named
    english = np.full((rows, most), "", object)
    thai = np.full((rows, most), "", object)
    for number in range(len(fields) + 1):
        for rank in range(most):
            chosen = np.flatnonzero((order[:, rank] == number) & pushing[:, rank])
            if len(chosen) == 0:
                continue
            if number < len(fields):
                texts = [_sentence(fields[number].name, v) for v in values[fields[number].name].iloc[chosen].tolist()]
            else:
                texts = [
                    (f"{v:.0f} of 100 points by the clinic's rules", f"คะแนนตามเกณฑ์คลินิก {v:.0f} จาก 100")
                    for v in total[chosen].tolist()
                ]
            english[chosen, rank] = [text[0] for text in texts]
            thai[chosen, rank] = [text[1] for text in texts]
    return _join(english), _join(thai)


def _sentence(name: str, value: Any) -> tuple[str, str]:
    if name in UNQUOTED:
        return UNQUOTED[name]
    label = name.rsplit(".", 1)[-1].replace("_", " ")
    if value is None or value != value:
        return MISSING.get(name, (f"{label} not on record", f"ไม่มีข้อมูล {label}"))
    english, thai = SENTENCES.get(name, (f"{label}: {{}}", f"{label}: {{}}"))
    if name in YES_NO:
        return english.format("yes" if value else "no"), thai.format("มี" if value else "ไม่มี")
    shown = f"{value:,.0f}" if isinstance(value, float) and (value >= 1000 or value.is_integer()) else value
    shown = f"{shown:.1f}" if isinstance(shown, float) else str(shown)
    return english.format(shown), thai.format(shown)


def _join(texts: NDArray[np.object_]) -> NDArray[np.object_]:
    import numpy as np

    # Two fields may say the same, as the two halves of the season do.
    return np.array(["; ".join(dict.fromkeys(filter(None, row))) for row in texts.tolist()], object)
