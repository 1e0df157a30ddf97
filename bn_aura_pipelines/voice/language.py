"""In which script somebody writes, and whether there are words at all. No dictionary, no model."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["th", "en", "mixed", "other", "emoji", "none"]

THAI = re.compile(r"[\u0e01-\u0e2e\u0e40-\u0e46]")
LATIN = re.compile(r"[a-z]", re.IGNORECASE)
LETTER = re.compile(r"[^\W\d_]")
MEANT = re.compile(r"https?://\S+|www\.\S+|\S+@\S+", re.IGNORECASE)
# Brand and treatment names are Latin in Thai talk: so little of either script does not make a text mixed.
SMALL_SHARE = 0.25


def detect(text: str) -> Language:
    """th, en or mixed by the letters; other for another script; emoji for signs without letters; none for nothing.

    Latin letters count as English: French or German cannot be told apart by script.
    """
    plain = MEANT.sub(" ", text)
    thai, latin, letters = len(THAI.findall(plain)), len(LATIN.findall(plain)), len(LETTER.findall(plain))
    if not letters:
        visible = [sign for sign in plain if not sign.isspace()]
        return "none" if not visible or all(sign.isascii() for sign in visible) else "emoji"
    if thai + latin < letters / 2:
        return "other"
    if not thai:
        return "en"
    share = latin / (thai + latin)
    if share <= SMALL_SHARE:
        return "th"
    return "en" if share >= 1 - SMALL_SHARE else "mixed"


def why_not(language: Language) -> str | None:
    """The reason why a text in this language is not analysed, or None where it is."""
    return {
        "none": "the customer wrote no words",
        "emoji": "the customer wrote only emoji",
        "other": "written in neither Thai nor English",
    }.get(language)
