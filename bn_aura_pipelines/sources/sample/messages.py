"""The words of conversations, from slot templates, with typos, emoji and the dirt of message lists.

Which conversations there are, and what is felt in them, belongs to `conversations`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample import templates_en, templates_th
from bn_aura_pipelines.sources.sample.catalogue import BRANCHES, TREATMENTS
from bn_aura_pipelines.sources.sample.clock import Floats, Ints
from bn_aura_pipelines.sources.sample.conversations import AFTER, BEFORE, CONCERN_NAMES, LEAD, Talks
from bn_aura_pipelines.sources.sample.people import ENGLISH, MIXED
from bn_aura_pipelines.sources.sample.tables import stream
from bn_aura_pipelines.sources.sample.world import World

# The places of a conversation, in order. Each may be empty.
(OPENING, CONCERN, BROKEN, REPLY, SECOND, IDENTITY, CLOSING, ADVICE, LATER, LATER_REPLY, LATEST) = range(11)
PLACES = 11
GAP_MINUTES = np.array([0, 2, 1, 0, 10, 3, 12, 1, 0, 90, 20], float)
LANGUAGES = (templates_th, templates_en)
# Sentences by language, whether it is a lead, concern, sentiment, and whether they are of the test set.
TEMPLATES: dict[tuple[int, ...], Sequence[str]] = {
    (language, lead, concern, sentiment, test): (
        words.ENQUIRIES[name][sentiment // 2] if lead and sentiment != 1 else words.CONCERNS[name][sentiment]
    )[test]
    for language, words in enumerate(LANGUAGES)
    for concern, name in enumerate(CONCERN_NAMES)
    for lead in (0, 1)
    for sentiment in (0, 1, 2)
    for test in (0, 1)
}
EMOJI = (("😡", "😢", "😞", "💔"), ("🙂", "🙏", "🤔"), ("😊", "❤️", "✨", "😍", "🥰"))

# What a message list of a production system also holds.
BROKEN_ELEMENTS = (
    "null",
    "42",
    '"ข้อความที่ไม่มีโครงสร้าง"',
    '{"role": "customer"}',
    '{"role": "customer", "content": null}',
    '{"role": "customer", "content": 5}',
    '{"role": "robot", "content": "auto-reply", "timestamp": "2024-01-01T00:00:00+07:00"}',
    '{"role": "customer", "content": "โอเคค่ะ", "timestamp": "เมื่อวาน"}',
    '{"role": "customer", "content": "ok", "timestamp": "2024-02-31T25:00:00"}',
    '{"role": "sales", "content": "", "timestamp": null}',
    '{"role": "sales", "content": "' + "รายละเอียดโปรโมชั่นทั้งหมดของคลินิก " * 120 + '"}',
)


@dataclass(frozen=True)
class Written:
    """What was written, one element a conversation."""

    messages: list[str]  # JSON
    last: Floats  # the last message before the moment
    first_part: Floats  # the last message before the conversation grew
    settled: NDArray[np.bool_]  # whether nothing of the first part is still to come
    treatments: list[str]  # the name used for the treatment


def write_messages(world: World, talks: Talks) -> Written:
    """Render every conversation as it stands at the moment."""
    laws, rng = world.laws, stream(world.seed, "messages")
    count = len(talks.begins)
    growing = rng.random(count) < laws.growing_share
    moments = _moments(rng, talks, growing)
    there = np.zeros((count, PLACES), bool)
    there[:, [OPENING, CONCERN]] = True
    there[:, BROKEN] = rng.random(count) < laws.malformed_share
    answered = np.isfinite(talks.answered)
    there[:, REPLY] = answered
    there[:, SECOND] = answered & (talks.second_concern >= 0)
    there[:, IDENTITY] = answered & (rng.random(count) < np.where(talks.when == LEAD, 0.5, 0.12))
    there[:, CLOSING] = answered & (rng.random(count) < 0.5)
    there[:, ADVICE] = answered & (rng.random(count) < 0.15)
    there[:, LATER] = growing
    there[:, LATER_REPLY] = growing & (rng.random(count) < 0.8)
    there[:, LATEST] = there[:, LATER_REPLY] & (rng.random(count) < 0.5)
    early = there & (np.arange(PLACES) < LATER)
    settled = np.where(early, moments, -np.inf).max(axis=1) < world.calendar.as_of
    there &= moments < world.calendar.as_of
    first_part = np.where(there & (np.arange(PLACES) < LATER), moments, -np.inf).max(axis=1)

    speaker = _Speaker(world, talks, rng)
    cells = [speaker.cells(place, np.flatnonzero(there[:, place]), moments[:, place]) for place in range(PLACES)]
    return Written(
        messages=[f"[{', '.join(filter(None, row))}]" for row in zip(*cells, strict=True)],
        last=np.where(there, moments, -np.inf).max(axis=1),
        first_part=first_part,
        settled=settled,
        treatments=speaker.slots["t"],
    )


def _moments(rng: np.random.Generator, talks: Talks, growing: NDArray[np.bool_]) -> Floats:
    """When each place is written, shape (conversations, places), increasing along a row."""
    count = len(talks.begins)
    gaps = GAP_MINUTES * rng.exponential(1, (count, PLACES)) / 1440 + 5 / 86_400
    gaps[:, OPENING] = 0
    waited = np.where(np.isfinite(talks.answered), talks.answered, 0.1)
    gaps[:, REPLY] = np.maximum(waited - gaps[:, :REPLY].sum(axis=1), 1 / 1440)
    gaps[:, LATER] = np.where(growing, 5 + 85 * rng.random(count), 0.1)
    return talks.begins[:, None] + np.cumsum(gaps, axis=1)


class _Speaker:
    """Fills the templates of a place for the rows that have it."""

    def __init__(self, world: World, talks: Talks, rng: np.random.Generator) -> None:
        self.world, self.talks, self.rng = world, talks, rng
        english = talks.language == ENGLISH
        self.sales_language: Ints = english.astype(int)
        names = [t.name_th for t in TREATMENTS] + [t.name_en for t in TREATMENTS]
        latin = (english | (talks.language == MIXED)).astype(int)
        places = zip(talks.customer.tolist(), _lead_customer(world, talks).tolist(), talks.lead.tolist(), strict=True)
        people, strangers = world.people, world.strangers
        who = [(people, c if c >= 0 else w) if max(c, w) >= 0 else (strangers, lead) for c, w, lead in places]
        self.male = [person.gender[at] == 1 for person, at in who]
        self.slots: dict[str, list[str]] = {
            "t": [names[place] for place in (talks.treatment + latin * len(TREATMENTS)).tolist()],
            "p": [f"{price:,.0f}" for price in talks.price.tolist()],
            "n": [person.nickname[at] for person, at in who],
            "f": [person.full_name[at] for person, at in who],
            "c": [person.phone[at] or "-" for person, at in who],
            "b": [BRANCHES[c][1 if e else 2] for c, e in zip(talks.clinic.tolist(), english.tolist(), strict=True)],
        }

    def cells(self, place: int, rows: Ints, moments: Floats) -> list[str]:
        """JSON of one place for every conversation, empty where it has none."""
        cells = [""] * len(moments)
        if place == BROKEN:
            for row, draw in zip(rows.tolist(), self.rng.integers(0, len(BROKEN_ELEMENTS), len(rows)), strict=True):
                cells[row] = BROKEN_ELEMENTS[draw]
            return cells
        role, pools = self._pools(place, rows)
        slots = self.slots
        draws: list[int] = self.rng.integers(0, 1 << 20, len(rows)).tolist()
        texts = [
            pool[draw % len(pool)].format(
                t=slots["t"][row],
                p=slots["p"][row],
                n=slots["n"][row],
                f=slots["f"][row],
                c=slots["c"][row],
                b=slots["b"][row],
            )
            for row, pool, draw in zip(rows.tolist(), pools, draws, strict=True)
        ]
        roles = [role] * len(rows)
        if place == OPENING:
            roles = np.where(self.talks.when[rows] == AFTER, "sales", "customer").tolist()
        if place in (OPENING, CONCERN, SECOND, IDENTITY, LATER, LATEST):
            texts = self._voiced(texts, rows, roles)
        encode: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode
        for row, text, said_by, at in zip(
            rows.tolist(), texts, roles, self.world.calendar.iso(moments[rows]), strict=True
        ):
            cells[row] = f'{{"role": "{said_by}", "content": {encode(text)}, "timestamp": "{at}"}}'
        return cells

    def _pools(self, place: int, rows: Ints) -> tuple[str, list[Sequence[str]]]:
        """Who speaks, and the templates to choose from, for each row."""
        talks = self.talks
        if place in (CONCERN, SECOND):
            mixed = talks.language[rows] == MIXED
            language = np.where(mixed, place == CONCERN, self.sales_language[rows])
            concern = (talks.concern if place == CONCERN else talks.second_concern)[rows]
            columns = (language, talks.when[rows] == LEAD, concern, talks.sentiment[rows], talks.test_templates[rows])
            keys = zip(*(column.astype(int).tolist() for column in columns), strict=True)
            return "customer", [TEMPLATES[key] for key in keys]
        languages = [LANGUAGES[language] for language in self.sales_language[rows].tolist()]
        if place == OPENING:
            openers = {AFTER: "OPENERS_SALES", BEFORE: "OPENERS_BEFORE", LEAD: "OPENERS_CUSTOMER"}
            kinds = [openers[when] for when in talks.when[rows].tolist()]
            return "customer", [getattr(words, kind) for words, kind in zip(languages, kinds, strict=True)]
        if place == REPLY:
            felt = talks.sentiment[rows].tolist()
            return "sales", [words.REPLIES[s] for words, s in zip(languages, felt, strict=True)]
        role, name = {
            IDENTITY: ("customer", "IDENTITY"),
            CLOSING: ("sales", "CLOSINGS"),
            ADVICE: ("ai_coach", "ADVICE"),
            LATER: ("customer", "LATER"),
            LATER_REPLY: ("sales", "LATER_REPLIES"),
            LATEST: ("customer", "LATER"),
        }[place]
        return role, [getattr(words, name) for words in languages]

    def _voiced(self, texts: list[str], rows: Ints, roles: list[str]) -> list[str]:
        """A customer's own way: a man's particles, slips of the keyboard, emoji."""
        laws, rng, count = self.world.laws, self.rng, len(texts)
        slips = np.where(rng.random(count) < laws.typo_share, rng.integers(1, 1 << 20, count), 0).tolist()
        smiles = np.where(rng.random(count) < laws.emoji_share, rng.integers(1, 1 << 20, count), 0).tolist()
        felt = self.talks.sentiment[rows].tolist()
        spoken = []
        for text, row, role, slip, smile, feeling in zip(texts, rows.tolist(), roles, slips, smiles, felt, strict=True):
            if role == "customer":
                if self.male[row]:
                    text = text.replace("ค่ะ", "ครับ").replace("คะ", "ครับ")
                if slip and len(text) > 3:
                    at = slip % (len(text) - 2) + 1
                    text = text[:at] + text[at + 1 :] if slip % 2 else text[:at] + text[at] + text[at:]
                if smile:
                    text += " " + EMOJI[feeling][smile % len(EMOJI[feeling])]
            spoken.append(text)
        return spoken


def _lead_customer(world: World, talks: Talks) -> Ints:
    """The customer that the lead of a conversation became, -1 where none."""
    return np.where(talks.lead >= 0, world.leads.customer[talks.lead], -1)
