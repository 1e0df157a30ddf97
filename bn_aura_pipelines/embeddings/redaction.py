"""Takes personal data out of a text before it leaves: names, phones, e-mails, accounts, addresses, cards, citizen ids.

Rather too much than too little is taken. Patterns run only where a cheap question says that they may match, and names
are looked up rather than compiled: this is done for every text. The people's names are prepared in `names`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bn_aura_pipelines.embeddings.names import IDENTIFIER, NAME, take_out

PHONE = "[PHONE]"
EMAIL = "[EMAIL]"
ADDRESS = "[ADDRESS]"
CARD = "[CARD]"
CITIZEN_ID = "[CITIZEN_ID]"
ACCOUNT = "[ACCOUNT]"
THAI = "\u0e00-\u0e7f"

INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2060\ufeff\ud800-\udfff]")

EMAIL_PATTERN = re.compile(r"[\w.+\-]+\s?@\s?[\w\-]+(?:\s?\.\s?[\w\-]+)+")
UUID_PATTERN = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
# Digits with the separators that people put between them; what they are is decided by their number.
DIGITS_PATTERN = re.compile(r"\d(?:[\s.\-–()/]{0,2}\d){7,18}(?!\d|[.,]\d)")
ACCOUNT_PATTERN = re.compile(
    r"(?:(?:\bline|ไลน์|ไลน|\big\b|\binstagram|\bfacebook|\bfb\b|เฟซ|เฟส|ไอจี)\s*(?:id|ไอดี)|ไอดี\s*(?:ไลน์|ไลน|line)|"
    r"\bid\s*line|(?:\bline|ไลน์|ไลน|\big|\binstagram|\bfacebook|\bfb|เฟซบุ๊ก|เฟซ|ไอจี)\s*(?:คือ|is\b|[:=：@])|"
    r"(?:แอด|add)\s*(?:\bline|ไลน์|ไลน))\s*(?:คือ|is\b|[:=：])?\s*@?\s?[a-z0-9][\w.\-]{2,30}",
    re.IGNORECASE,
)
LINK_PATTERN = re.compile(r"(?:https?://|www\.|line\.me/|fb\.com/|lin\.ee/)\S+", re.IGNORECASE)
HANDLE_PATTERN = re.compile(r"(?<![\w@])@[a-z0-9_][\w.\-]{2,30}", re.IGNORECASE)
LABELLED_ADDRESS_PATTERN = re.compile(r"(?:ที่อยู่|\baddress)\s*(?:คือ|is\b|[:=：])\s*[^\n]{4,150}", re.IGNORECASE)
# Apart from its English sister, since it then begins with two letters that are quick to look for.
THAI_HOUSE_PATTERN = re.compile(r"(?:บ้านเลขที่|เลขที่)\s*\d[^\n]{0,120}?(?:\d{5}\b|(?=\n)|$)")
HOUSE_PATTERN = re.compile(r"(?:\bhouse no\.?|\bno\.)\s*\d[^\n]{0,120}?(?:\d{5}\b|(?=\n)|$)", re.IGNORECASE)
STREET_PATTERN = re.compile(
    rf"\b\d{{1,5}}(?:/\d{{1,5}})?[\s,]*(?:[{THAI}\w.]{{1,25}}[\s,]+){{0,3}}?"
    r"(?:หมู่บ้าน|หมู่ที่|หมู่|ม\.\s?\d|ซอย|ซ\.|ถนน|ถ\.|แขวง|ตำบล|ต\.|\bmoo\b|\bsoi\b|\broad\b|\brd\b|\bstreet\b|\bst\.|"
    r"\bavenue\b)[^\n]{0,100}?(?:\b\d{5}\b|(?=\n)|$)",
    re.IGNORECASE,
)
# After a pronoun the name may follow at once; otherwise a space tells "ชื่อ ดวงใจ" from "รายชื่อ" and "ชื่อเสียง".
INTRODUCTION_PATTERN = re.compile(
    rf"((?:ดิฉัน|ผม|หนู|เรา|ฉัน)\s*ชื่อ(?:เล่น)?|ชื่อ-?(?:นาม)?สกุล|(?<![{THAI}])ชื่อ(?:เล่น|จริง)?(?=[\s:：])"
    r"|\bmy name(?: is|'s|:)|\bname\s?[:：]|\bthis is(?= [A-Z][\w'\-]+ [A-Z])|\bthis is (?:khun|mr|mrs|ms|miss)\b\.?)"
    rf"\s*[:：]?\s*((?:[A-Z][\w'\-]+\s?){{1,3}}|[{THAI}]{{2,30}}(?:\s(?!(?:ค่ะ|คะ|ครับ|นะ|เบอร์|โทร))[{THAI}]{{2,30}})?)",
    re.IGNORECASE,
)
KHUN_PATTERN = re.compile(r"\b(?i:khun|mr|mrs|ms|miss)\b\.?\s+[A-Z][\w'\-]+(?:\s[A-Z][\w'\-]+)?")
# Cheap questions that spare most texts the costly patterns.
LABELS = ("ที่อยู่", "address")
HOUSE_WORDS = ("house no", "no.")
STREET_WORDS = (
    *("หมู่", "ม.", "ซอย", "ซ.", "ถ.", "ถนน", "แขวง", "ตำบล", "ต."),
    *("moo", "soi", "road", "rd", "street", "st.", "avenue"),
)
ACCOUNT_WORDS = ("line", "ไลน", "ไอดี", "ig", "ไอจี", "instagram", "facebook", "fb", "เฟซ", "เฟส")
INTRODUCTION_WORDS = ("ชื่อ", "name", "this is")
ENGLISH_TITLES = ("khun", "mr", "ms", "miss")
HAS_DIGIT = re.compile(r"\d")


def redact(text: str, *private: tuple[str | None, ...]) -> str:
    """The text with personal data replaced by placeholders such as `[PHONE]`.

    `private` are groups of names, nicknames, e-mails, phones and codes of the people whom the text is about.
    """
    text = clean(text)
    lower = text.lower()
    text = take_out(text, private)
    if "@" in text:
        text = EMAIL_PATTERN.sub(EMAIL, text)
    if "/" in text or "www." in text:
        text = LINK_PATTERN.sub(ACCOUNT, text)
    if _holds(lower, ACCOUNT_WORDS):
        text = ACCOUNT_PATTERN.sub(ACCOUNT, text)
    if "@" in text:
        text = HANDLE_PATTERN.sub(ACCOUNT, text)
    if HAS_DIGIT.search(text):
        if text.count("-") >= 4:
            text = UUID_PATTERN.sub(IDENTIFIER, text)
        text = DIGITS_PATTERN.sub(_name_number, text)
        if "เลขที่" in lower:
            text = THAI_HOUSE_PATTERN.sub(ADDRESS, text)
        if _holds(lower, HOUSE_WORDS):
            text = HOUSE_PATTERN.sub(ADDRESS, text)
        if _holds(lower, STREET_WORDS):
            text = STREET_PATTERN.sub(ADDRESS, text)
    if _holds(lower, LABELS):
        text = LABELLED_ADDRESS_PATTERN.sub(ADDRESS, text)
    if _holds(lower, INTRODUCTION_WORDS):
        text = INTRODUCTION_PATTERN.sub(rf"\1 {NAME}", text)
    if _holds(lower, ENGLISH_TITLES):
        text = KHUN_PATTERN.sub(NAME, text)
    return text


def clean(text: str) -> str:
    """NFC (not NFKC, which splits sara am), without NUL, lone surrogates, control and invisible characters."""
    if not text.replace("\n", "").isprintable():
        text = INVISIBLE.sub("", text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _holds(text: str, words: Sequence[str]) -> bool:
    for word in words:  # noqa: SIM110 -- a generator would take five times as long
        if word in text:
            return True
    return False


def _name_number(match: re.Match[str]) -> str:
    """What a run of digits is: decided by their number, their first ones and what stands before."""
    digits = "".join(str(unicodedata.digit(character)) for character in match[0] if character.isdigit())
    before = match.string[max(match.start() - 2, 0) : match.start()]
    if before[-1:] in (".", ",") and before[:1].isdigit():
        return match[0]
    if len(digits) == 13 and _is_citizen_id(digits):
        return CITIZEN_ID
    if len(digits) >= 13:
        return CARD
    if (digits.startswith("0") and len(digits) in (9, 10)) or before.endswith("+"):
        return PHONE
    if digits.startswith(("66", "0066")) and 10 <= len(digits) <= 13:
        return PHONE
    # Dates (2024-05-01 10) and prices are no numbers of persons; nine and more digits in a row are.
    return IDENTIFIER if match[0].isdigit() and len(digits) >= 9 else match[0]


def _is_citizen_id(digits: str) -> bool:
    """The check digit of a Thai citizen number: 11 less the weighted sum of the first twelve, modulo 11."""
    total = sum(int(digit) * (13 - position) for position, digit in enumerate(digits[:12]))
    return (11 - total % 11) % 10 == int(digits[12])
