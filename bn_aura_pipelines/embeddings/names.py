"""Finds the people a text is about in it: their names, nicknames, e-mails, phones and codes.

Looked up as plain strings, since a pattern of its own for every customer would cost a millisecond to compile. Personal
data that can be known by its form alone belongs to `redaction`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

NAME = "[NAME]"
IDENTIFIER = "[ID]"

# Words of a name that say nothing of who it is; taking them out would only hurt the text.
TITLES = re.compile(
    r"^(?:นางสาว|นาง|นาย|น\.ส\.|ด\.ช\.|ด\.ญ\.|คุณ|ดร\.|พญ\.|นพ\.|(?:mr|mrs|ms|miss|dr|khun|prof)\b\.?)\s*", re.IGNORECASE
)
NOT_NAMES = frozenset(
    (
        *("customer", "lead", "sales", "staff", "clinic", "test", "user", "patient", "client", "member", "owner"),
        *("admin", "doctor", "ai_coach", "coach", "vip", "the", "and"),
        *("ลูกค้า", "คลินิก", "ทดสอบ", "หมอ", "แพทย์", "พนักงาน", "สมาชิก"),
    )
)
DIGIT = re.compile(r"\d")
LETTER = re.compile(r"[^\W\d_]")
SEPARATORS = re.compile(r"[\s,()]+")
THAI_LETTER = re.compile("[\u0e00-\u0e7f]")
# A Thai name of up to three characters is often part of an ordinary word: it counts beside a title, one of these or a
# space.
SHORT_THAI_NAME = 3
CALLED = ("คุณ", "น้อง", "พี่", "ชื่อ", "เล่น", "ป้า", "ลุง", "หมอ", "ค่ะ", "คะ", "ครับ")
PARTICLES = ("ค่ะ", "คะ", "ครับ", "นะ", "จ้า", "จ้ะ", "ค่า", "สนใจ", "ขอ")


class Needle(NamedTuple):
    """A string to look for, in lower case, and what stands for it."""

    text: str
    placeholder: str
    thai: bool


@lru_cache(maxsize=2_000)
def needles(terms: tuple[str | None, ...]) -> tuple[Needle, ...]:
    """What to look for, longest first: each term as it is and, of names, each part."""
    found: dict[str, str] = {}
    for term in terms:
        if not term:
            continue
        bare = term.strip()
        if title := TITLES.match(bare):
            bare = bare[title.end() :]
        bare = bare.lower()
        if "@" in bare or DIGIT.search(bare):
            if len(bare) > 2:
                found.setdefault(bare, IDENTIFIER)
            if "@" in bare or not LETTER.search(bare):
                continue
        for part in (bare, *SEPARATORS.split(bare)):
            if len(part) >= 2 and part not in NOT_NAMES and LETTER.search(part):
                found.setdefault(part, NAME)
    return tuple(
        Needle(text, placeholder, THAI_LETTER.search(text) is not None)
        for text, placeholder in sorted(found.items(), key=lambda item: (-len(item[0]), item[0]))
    )


def take_out(text: str, groups: Iterable[tuple[str | None, ...]]) -> str:
    """The text with every term of every group replaced; where two overlap, the longer one."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters are two in lower case, and places would no longer agree
        lower = "".join(character.lower() if len(character.lower()) == 1 else character for character in text)
    spans: list[tuple[int, int, str]] = []
    for group in groups:
        for needle in needles(group):
            start = lower.find(needle.text)
            while start >= 0:
                end = start + len(needle.text)
                if _is_whole(lower, start, end, needle) and all(end <= one[0] or start >= one[1] for one in spans):
                    spans.append((start, end, needle.placeholder))
                start = lower.find(needle.text, end)
    for start, end, placeholder in sorted(spans, reverse=True):
        text = text[:start] + placeholder + text[end:]
    return text


def full_names(text: str, known: Mapping[str, datetime], until: datetime) -> set[str]:
    """Full names in a text whose person nobody has linked: two words in a row that are a name known by then."""
    words = [word.strip(".,!?:;()\"'") for word in text.lower().split()]
    found = set()
    for first, second in pairwise(words):
        for start in {first, first.rpartition("คุณ")[2], first.rpartition("ชื่อ")[2]}:
            name = f"{start} {second}"
            if name in known and known[name] <= until:
                found.add(name)
    return found


def _is_whole(text: str, start: int, end: int, needle: Needle) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    if needle.placeholder == IDENTIFIER:
        return not (before.isalnum() or after.isalnum())
    if not needle.thai:
        return not ((before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha()))
    if len(needle.text) > SHORT_THAI_NAME:
        return True
    if text.startswith(PARTICLES, end) or text.endswith(CALLED, 0, start):
        return True
    return THAI_LETTER.match(before) is None and THAI_LETTER.match(after) is None
