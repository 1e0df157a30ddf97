"""What a customer minds or likes: the topics of an aesthetic clinic, found by patterns in Thai and English.

A topic is mentioned, complained about or praised. Praise is looked for first and taken out of the text, so that
"ไม่เจ็บ" (it does not hurt) is no complaint about pain; and praise that is denied is a complaint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bn_aura_pipelines.voice.ngrams import MOST_CHARACTERS, SPACES
from bn_aura_pipelines.voice.topics import NOT, TOPICS

COMPILED = {
    name: tuple(
        re.compile(pattern.replace("<not>", NOT), re.IGNORECASE)
        for pattern in (topic.praise, topic.complaint, topic.mention)
    )
    for name, topic in TOPICS.items()
}
# Right before a praise: "ไม่ตรงเวลา" (not on time), "no visible results", "was not really clean".
DENIAL = re.compile(
    r"(?:ไม่|ไม่ค่อย|ไม่ได้|\b(?:no|not|never|isn't|wasn't|aren't|weren't|didn't)(?: \w+)?\s)$", re.IGNORECASE
)
SENTENCE_END = re.compile(r"[\n.!?。]+|(?<=ค่ะ)\s|(?<=คะ)\s|(?<=ครับ)\s")
LONGEST_QUOTE = 140


@dataclass(frozen=True)
class Found:
    """Topics complained about, praised, or only mentioned, each in the order of TOPICS; a topic may be in two."""

    complained: tuple[str, ...]
    praised: tuple[str, ...]
    mentioned: tuple[str, ...]


def find(text: str) -> Found:
    """The topics of a customer's words."""
    plain = SPACES.sub(" ", text[:MOST_CHARACTERS])
    complained, praised, mentioned = [], [], []
    for name, (praise, complaint, mention) in COMPILED.items():
        matches = list(praise.finditer(plain))
        denied = [match for match in matches if DENIAL.search(plain, max(match.start() - 24, 0), match.start())]
        number = len(matches) - len(denied)
        if number:
            praised.append(name)
        if denied or complaint.search(praise.sub(" ", plain)):
            complained.append(name)
        elif not number and mention.search(plain):
            mentioned.append(name)
    return Found(tuple(complained), tuple(praised), tuple(mentioned))


def sort_out(found: Found, sentiment: str) -> tuple[list[str], list[str]]:
    """Key concerns and positive signals. A topic that is only mentioned is what the customer thinks about: a concern,
    unless the whole conversation is positive."""
    minded, liked = set(found.complained), set(found.praised) - set(found.complained)
    (liked if sentiment == "positive" else minded).update(set(found.mentioned))
    return [name for name in TOPICS if name in minded], [name for name in TOPICS if name in liked]


def suggest(complained: tuple[str, ...]) -> list[str]:
    """What a clinic can do about complaints."""
    return [TOPICS[name].suggestion for name in complained]


def quote(text: str, topic: str) -> str | None:
    """The sentence of a text in which a topic stands, cut to a readable length."""
    for sentence in sentences(text[:MOST_CHARACTERS]):
        if any(pattern.search(sentence) for pattern in COMPILED[topic]):
            return sentence if len(sentence) <= LONGEST_QUOTE else sentence[: LONGEST_QUOTE - 1] + "…"
    return None


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, as far as its signs and particles tell where they end."""
    for part in SENTENCE_END.split(text):
        sentence = SPACES.sub(" ", part).strip()
        if sentence:
            yield sentence
