"""Who the people of the sample are on paper: names, e-mail addresses, numbers. What they do belongs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bn_aura_pipelines.sources.sample.clock import Ints
from bn_aura_pipelines.sources.sample.laws import Laws
from bn_aura_pipelines.sources.sample.names import FEMALE, FOREIGN_FIRST, FOREIGN_LAST, MALE, NICKNAMES, SURNAMES

THAI, ENGLISH, MIXED = range(3)
GENDERS = ("female", "male", "other")


@dataclass(frozen=True)
class People:
    """One element a person; addresses are @example.com, numbers are drawn."""

    language: Ints  # THAI, ENGLISH or MIXED
    gender: Ints
    full_name: list[str]
    nickname: list[str]
    handle: list[str]  # unique, Latin letters
    email: list[str | None]
    phone: list[str | None]


def draw_people(laws: Laws, rng: np.random.Generator, count: int, prefix: str) -> People:
    """Names by gender and language; `prefix` keeps handles of several groups apart."""
    language = rng.choice(3, count, p=laws.language_shares)
    gender = rng.choice(3, count, p=[0.82, 0.15, 0.03])
    draws = rng.integers(0, 1 << 20, (4, count)).tolist()
    foreign = (language == ENGLISH) & (rng.random(count) < 0.5)
    romanised = (language == ENGLISH) | (rng.random(count) < 0.06)
    names, nicknames, handles = [], [], []
    for number, (is_male, is_foreign, latin, first, last, nick) in enumerate(
        zip((gender == 1).tolist(), foreign.tolist(), romanised.tolist(), *draws[:3], strict=True)
    ):
        if is_foreign:
            given, family = FOREIGN_FIRST[first % len(FOREIGN_FIRST)], FOREIGN_LAST[last % len(FOREIGN_LAST)]
            names.append(f"{given} {family}")
            nicknames.append(given)
        else:
            pool = MALE if is_male else FEMALE
            thai, surname = pool[first % len(pool)], SURNAMES[last % len(SURNAMES)]
            given, family = thai[1], surname[1]
            names.append(f"{given} {family}" if latin else f"{thai[0]} {surname[0]}")
            nicknames.append(NICKNAMES[nick % len(NICKNAMES)][1 if latin else 0])
        handles.append(f"{given.lower()}.{family.lower()}{prefix}{number}")
    digits = rng.integers(0, 100_000_000, count)
    head = rng.choice(["06", "08", "09"], count, p=[0.2, 0.55, 0.25])
    phones: list[str | None] = [
        f"{h}{d // 10_000_000}-{d // 10_000 % 1000:03d}-{d % 10_000:04d}" for h, d in zip(head, digits, strict=True)
    ]
    bare, missing = rng.random(count) < 0.3, rng.random(count) < 0.08
    for place in np.flatnonzero(bare):
        phones[place] = str(phones[place]).replace("-", "")
    for place in np.flatnonzero(missing):
        phones[place] = None
    emails: list[str | None] = [f"{handle}@example.com" for handle in handles]
    for place in np.flatnonzero(rng.random(count) < 0.15):
        emails[place] = None
    return People(language, gender, names, nicknames, handles, emails, phones)
