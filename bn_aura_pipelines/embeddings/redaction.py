"""Takes personal data out of a text before it leaves: names, phones, e-mails, accounts, addresses, cards, citizen ids.

Rather too much than too little is taken. What a text is made of belongs to `text`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

NAME = "[NAME]"
PHONE = "[PHONE]"
EMAIL = "[EMAIL]"
ACCOUNT = "[ACCOUNT]"
ADDRESS = "[ADDRESS]"
CARD = "[CARD]"
CITIZEN_ID = "[CITIZEN_ID]"
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
THAI = "\u0e00-\u0e7f"
# A Thai name of up to three characters is often part of an ordinary word: it counts beside a title, one of these or a
# space.
PARTICLE = r"(?:ค่ะ|คะ|ครับ|นะ|จ้า|จ้ะ|ค่า|สนใจ|ขอ)"
SHORT_THAI_NAME = 3

INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2060\ufeff\ud800-\udfff]")

EMAIL_PATTERN = re.compile(r"[\w.+\-]+\s?@\s?[\w\-]+(?:\s?\.\s?[\w\-]+)+")
UUID_PATTERN = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
# Digits with the separators that people put between them; what they are is decided by their number.
DIGITS_PATTERN = re.compile(r"(?<![\d.,])(?:\+|\(\+?)?\d(?:[\s.\-–()/]{0,2}\d){7,18}(?![\d]|[.,]\d)")
ACCOUNT_PATTERN = re.compile(
    r"(?:(?:\bline|ไลน์|ไลน|\big\b|\binstagram|\bfacebook|\bfb\b|เฟซ|เฟส|ไอจี)\s*(?:id|ไอดี)|ไอดี\s*(?:ไลน์|ไลน|line)|"
    r"\bid\s*line|(?:\bline|ไลน์|ไลน|\big|\binstagram|\bfacebook|\bfb|เฟซบุ๊ก|เฟซ|ไอจี)\s*(?:คือ|is\b|[:=：@])|"
    r"(?:แอด|add)\s*(?:\bline|ไลน์|ไลน))\s*(?:คือ|is\b|[:=：])?\s*@?\s?[a-z0-9][\w.\-]{2,30}",
    re.IGNORECASE,
)
LINK_PATTERN = re.compile(r"(?:https?://|www\.|line\.me/|fb\.com/|lin\.ee/)\S+", re.IGNORECASE)
HANDLE_PATTERN = re.compile(r"(?<![\w@])@[a-z0-9_][\w.\-]{2,30}", re.IGNORECASE)
ADDRESS_PATTERN = re.compile(
    r"(?:ที่อยู่|\baddress)\s*(?:คือ|is\b|[:=：])\s*[^\n]{4,150}"
    r"|(?:บ้านเลขที่|เลขที่|\bhouse no\.?|\bno\.)\s*\d[^\n]{0,120}?(?:\d{5}\b|(?=\n)|$)"
    rf"|\b\d{{1,5}}(?:/\d{{1,5}})?[\s,]*(?:[{THAI}\w.]{{1,25}}[\s,]+){{0,3}}?"
    r"(?:หมู่บ้าน|หมู่ที่|หมู่|ม\.\s?\d|ซอย|ซ\.|ถนน|ถ\.|แขวง|ตำบล|ต\.|\bmoo\b|\bsoi\b|\broad\b|\brd\b|\bstreet\b|\bst\.|"
    r"\bavenue\b)[^\n]{0,100}?(?:\b\d{5}\b|(?=\n)|$)",
    re.IGNORECASE,
)
INTRODUCTION_PATTERN = re.compile(
    rf"((?:ดิฉัน|ผม|หนู|เรา|ฉัน)\s*ชื่อ(?:เล่น)?|ชื่อ-?(?:นาม)?สกุล|\bmy name is|\bthis is (?:khun|mr|mrs|ms|miss)\b\.?)"
    rf"\s*[:：]?\s*((?:[A-Z][\w'\-]+\s?){{1,3}}|[{THAI}]{{2,30}}(?:\s(?!(?:ค่ะ|คะ|ครับ))[{THAI}]{{2,30}})?)",
    re.IGNORECASE,
)
KHUN_PATTERN = re.compile(r"\b(?i:khun|mr|mrs|ms|miss)\b\.?\s+[A-Z][\w'\-]+(?:\s[A-Z][\w'\-]+)?")
# Cheap questions that spare most texts the costly patterns.
HAS_ADDRESS_WORD = re.compile(
    r"ที่อยู่|เลขที่|หมู่|ม\.|ซอย|ซ\.|ถ\.|ถนน|แขวง|ตำบล|ต\.|address|house no|no\.|moo|soi|road|rd|street|st\.|avenue", re.I
)
HAS_ACCOUNT_WORD = re.compile(r"line|ไลน|ไอดี|ig|ไอจี|instagram|facebook|fb|เฟซ|เฟส", re.IGNORECASE)


def redact(text: str, private: Iterable[str | None] = ()) -> str:
    """The text with personal data replaced by placeholders such as `[PHONE]`.

    `private` are names, nicknames, e-mails, phones and codes of the people whom the text is about.
    """
    text = clean(text)
    for pattern, placeholder in _private_patterns(tuple(term for term in private if term)):
        text = pattern.sub(placeholder, text)
    if "@" in text:
        text = EMAIL_PATTERN.sub(EMAIL, text)
    if "/" in text or "www." in text:
        text = LINK_PATTERN.sub(ACCOUNT, text)
    if HAS_ACCOUNT_WORD.search(text):
        text = ACCOUNT_PATTERN.sub(ACCOUNT, text)
    if "@" in text:
        text = HANDLE_PATTERN.sub(ACCOUNT, text)
    if HAS_DIGIT.search(text):
        if "-" in text:
            text = UUID_PATTERN.sub(IDENTIFIER, text)
        text = DIGITS_PATTERN.sub(_name_number, text)
    if HAS_ADDRESS_WORD.search(text):
        text = ADDRESS_PATTERN.sub(ADDRESS, text)
    text = INTRODUCTION_PATTERN.sub(rf"\1 {NAME}", text)
    return KHUN_PATTERN.sub(NAME, text)


HAS_DIGIT = re.compile(r"\d")


def clean(text: str) -> str:
    """NFC (not NFKC, which splits sara am), without NUL, lone surrogates, control and invisible characters."""
    text = INVISIBLE.sub("", text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _name_number(match: re.Match[str]) -> str:
    digits = "".join(str(unicodedata.digit(character)) for character in match[0] if character.isdigit())
    if len(digits) == 13 and _is_citizen_id(digits):
        return CITIZEN_ID
    if len(digits) >= 13:
        return CARD
    if (digits.startswith("0") and len(digits) in (9, 10)) or match[0].lstrip("(").startswith("+"):
        return PHONE
    if digits.startswith(("66", "0066")) and 10 <= len(digits) <= 13:
        return PHONE
    # Dates (2024-05-01 10) and prices are no numbers of persons; ten and more digits in a row are.
    return IDENTIFIER if match[0].isdigit() and len(digits) >= 9 else match[0]


def _is_citizen_id(digits: str) -> bool:
    """The check digit of a Thai citizen number: 11 less the weighted sum of the first twelve, modulo 11."""
    total = sum(int(digit) * (13 - position) for position, digit in enumerate(digits[:12]))
    return (11 - total % 11) % 10 == int(digits[12])


@lru_cache(maxsize=20_000)
def _private_patterns(terms: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    exact: set[str] = set()
    names: set[str] = set()
    for term in terms:
        term = clean(term).strip()
        if "@" in term or any(character.isdigit() for character in term):
            exact.add(term)
        names.update(_name_parts(term))
    patterns = []
    if exact:
        alternatives = "|".join(re.escape(term) for term in sorted(exact, key=len, reverse=True) if len(term) > 2)
        if alternatives:
            patterns.append((re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE), IDENTIFIER))
    if names:
        alternatives = "|".join(_name_pattern(name) for name in sorted(names, key=lambda name: (-len(name), name)))
        patterns.append((re.compile(alternatives, re.IGNORECASE), NAME))
    return tuple(patterns)


def _name_parts(name: str) -> set[str]:
    bare = TITLES.sub("", name)
    if not bare or "@" in bare:
        return set()
    parts = {bare, *re.split(r"[\s,()]+", bare)}
    return {
        part
        for part in parts
        if len(part) >= 2 and part.lower() not in NOT_NAMES and any(character.isalpha() for character in part)
    }


def _name_pattern(name: str) -> str:
    escaped = re.escape(name).replace(r"\ ", r"\s+")
    if re.search(f"[{THAI}]", name) is None:
        return rf"(?<![a-z]){escaped}(?![a-z])"
    if len(name) > SHORT_THAI_NAME:
        return escaped
    return (
        rf"(?:(?<=คุณ)|(?<=น้อง)|(?<=พี่)|(?<=ชื่อ)|(?<=เล่น)|(?<=ป้า)|(?<=ลุง)|(?<=หมอ)|(?<=ค่ะ)|(?<=ครับ)){escaped}"
        rf"|(?<![{THAI}]){escaped}(?=[^{THAI}]|$|{PARTICLE})|{escaped}(?={PARTICLE})"
    )
