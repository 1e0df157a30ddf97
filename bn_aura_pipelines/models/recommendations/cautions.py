"""What a person has to check before a treatment is offered, from allergies and medical notes; it rules nothing out.

The notes themselves are never copied. A note that no rule knows is flagged all the same: only a person may wave it off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EVERYTHING = ("injectable", "laser", "facial", "skincare")
NOTHING = re.compile(
    r"^\W*(none|no|nil|n/?a|nka|nkda|no known( drug)? allerg(y|ies)|ไม่มี\S*|ปฏิเสธ\S*|ไม่แพ้\S*)?\W*$", re.IGNORECASE
)


@dataclass(frozen=True)
class Rule:
    """Words of a note, the categories it matters for, and what to say."""

    words: re.Pattern[str]
    categories: tuple[str, ...]
    english: str
    thai: str


def _rule(words: str, categories: tuple[str, ...], english: str, thai: str) -> Rule:
    return Rule(re.compile(words, re.IGNORECASE), categories, english, thai)


# Which notes make a person look twice at which category: the usual lists of contraindications to be asked about before
# injectables, laser and energy devices, peels and infusions. They point at a note; they do not judge it.
RULES = (
    _rule(
        r"pregnan|breast.?feed|lactat|ตั้งครรภ์|ตั้งท้อง|ให้นม",
        EVERYTHING, "pregnancy or breast-feeding", "การตั้งครรภ์หรือให้นมบุตร",
    ),
    _rule(
        r"warfarin|aspirin|clopidogrel|anticoag|blood.?thin|bleed|ha?emophil|ละลายลิ่มเลือด|แอสไพริน|เลือดออกง่าย",
        ("injectable", "laser"), "bleeding or blood thinners", "ภาวะเลือดออกง่ายหรือยาละลายลิ่มเลือด",
    ),
    _rule(r"lidocain|lignocain|ana?esthe|ยาชา", ("injectable", "laser"), "anaesthetics", "ยาชา"),
    _rule(r"keloid|คีลอยด์|แผลเป็นนูน", ("injectable", "laser"), "keloids", "แผลเป็นคีลอยด์"),
    _rule(
        r"isotretinoin|ro?accutan|acnotin|ไอโซเตรติโนอิน|ยากรดวิตามินเอ",
        ("laser", "facial"), "isotretinoin", "ยาไอโซเตรติโนอิน",
    ),
    _rule(
        r"pacemaker|implant|เครื่องกระตุ้นหัวใจ|โลหะ",
        ("laser",), "a pacemaker or implant", "เครื่องกระตุ้นหัวใจหรืออุปกรณ์ฝังในร่างกาย",
    ),
    _rule(
        r"myasthen|neuromuscul|กล้ามเนื้ออ่อนแรง", ("injectable",), "a neuromuscular disease", "โรคกล้ามเนื้ออ่อนแรง"
    ),
    _rule(
        r"lupus|autoimmun|\bsle\b|ภูมิแพ้ตัวเอง|แพ้ภูมิ|เอสแอลอี",
        ("injectable", "laser"), "an autoimmune disease", "โรคภูมิคุ้มกันทำลายตนเอง",
    ),
    _rule(r"herpes|cold sore|เริม", ("injectable", "laser", "facial"), "herpes", "โรคเริม"),
    _rule(
        r"photosensit|epilep|ลมชัก|แพ้แสง|แพ้แดด",
        ("laser",), "sensitivity to light or epilepsy", "การแพ้แสงหรือลมชัก",
    ),
    _rule(
        r"kidney|renal|g6pd|heart|โรคไต|หัวใจ|จีซิกพีดี",
        ("skincare",), "kidney, heart or G6PD", "โรคไต โรคหัวใจ หรือ G6PD",
    ),
)  # fmt: skip


def caution(category: str, allergies: str | None, medical_notes: str | None) -> tuple[str, str] | None:
    """What to check before a treatment of this category is offered, English and Thai; None where nothing is noted."""
    notes = [note for note in (allergies, medical_notes) if note and not NOTHING.match(note.strip())]
    if not notes:
        return None
    found = [
        rule
        for rule in RULES
        if (category in rule.categories or category not in EVERYTHING)
        and any(rule.words.search(note) for note in notes)
    ]
    if found:
        about_en = ", ".join(rule.english for rule in found)
        about_th = " ".join(rule.thai for rule in found)
        return f"Check first: the notes mention {about_en}", f"ตรวจสอบก่อน: มีบันทึกเรื่อง{about_th}"
    which = (bool(allergies and allergies in notes), bool(medical_notes and medical_notes in notes))
    kind_en = {(True, True): "allergies and medical notes", (True, False): "allergies"}.get(which, "medical notes")
    kind_th = {(True, True): "ประวัติแพ้และหมายเหตุทางการแพทย์", (True, False): "ประวัติแพ้"}.get(which, "หมายเหตุทางการแพทย์")
    return f"Read the {kind_en} first", f"อ่าน{kind_th}ก่อนแนะนำ"
