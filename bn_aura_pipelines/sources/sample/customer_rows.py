"""Rows about customers: customers, user accounts, preferences, unsubscriptions, with the dirt of their e-mails."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bn_aura_pipelines.sources.sample.catalogue import BRANCHES, LEAD_SOURCES, PERSONA_AGE, PERSONA_CONCERNS
from bn_aura_pipelines.sources.sample.chain import sales_person
from bn_aura_pipelines.sources.sample.clock import Floats
from bn_aura_pipelines.sources.sample.people import ENGLISH, GENDERS
from bn_aura_pipelines.sources.sample.tables import draw_ids, stream, take, text_column
from bn_aura_pipelines.sources.sample.visits import COMPLETED
from bn_aura_pipelines.sources.sample.world import World

ALLERGIES = ("แพ้ยาเพนิซิลลิน", "แพ้อาหารทะเล", "แพ้ยาชา", "แพ้น้ำหอม", "Penicillin allergy", "แพ้แอสไพริน")
MEDICAL = ("ความดันโลหิตสูง", "เบาหวานชนิดที่ 2", "เคยเป็นคีลอยด์", "ตั้งครรภ์เมื่อปีที่แล้ว", "ไทรอยด์")
NOTES = ("ชอบนัดช่วงเย็น", "ขอห้องส่วนตัว", "ชอบหมอคนเดิม", "กลัวเข็ม", "Prefers English", "จอดรถไม่สะดวก ชอบมาวันธรรมดา")
CONTACT_TIMES = ("morning", "afternoon", "evening", "anytime", "business_hours")
CHANNEL_SETS = ("{line}", "{line,email}", "{email}", "{line,sms}", "{phone}", "{line,email,sms}")


def customer_tables(world: World) -> dict[str, dict[str, Any]]:
    """Columns of users (accounts of customers), customers, customer_preferences and email_unsubscribes."""
    laws, people, calendar, chain = world.laws, world.people, world.calendar, world.chain
    rng = stream(world.seed, "customer rows")
    count = len(world.customer_ids)
    clinic, start = world.customers.clinic, world.customers.start
    visits = world.visits
    past = (visits.outcome == COMPLETED) & (visits.begins + visits.minutes / 1440 < calendar.as_of)
    first, last = _ends(world, past)
    completed = np.bincount(visits.customer[past], minlength=count)
    bought = np.zeros(count, bool)
    bought[visits.customer[past & (visits.package == 1)]] = True
    lost = np.zeros(count, bool)
    lost[visits.customer[past & visits.lost]] = True

    account = np.flatnonzero(rng.random(count) < 0.15)
    account_ids = draw_ids(world.seed, "accounts", len(account))
    account_of = np.full(count, -1)
    account_of[account] = np.arange(len(account))
    emails = list(people.email)
    for place in np.flatnonzero((rng.random(count) < laws.duplicate_email_share) & (np.arange(count) > 0)):
        emails[place] = emails[place - 1]

    age = np.clip(np.array(PERSONA_AGE)[world.customers.tastes.persona] + rng.normal(0, 7, count), 16, 78)
    vip = world.customers.tastes.budget > np.quantile(world.customers.tastes.budget, 0.93)
    draw = rng.random(count)
    status = np.where(draw < 0.003, 2, np.where(lost & (draw > 0.85), 1, 0))
    lead_source = np.where(world.arrivals.lead >= 0, world.leads.source[world.arrivals.lead], -1)
    sources = ["walk_in", "social_media", "website", "ads"] + [source[3] for source in LEAD_SOURCES]
    alone = rng.choice(4, count, p=[0.55, 0.25, 0.12, 0.08])
    optional = rng.integers(0, 1 << 20, (3, count))
    begun = calendar.timestamps(start)
    tables: dict[str, dict[str, Any]] = {
        "users": {
            "id": account_ids,
            "email": [f"{people.handle[place]}@account.example.com" for place in account],
            "role": take(["free_user", "public"], (rng.random(len(account)) < 0.3).astype(int)),
            "tier": take(["free"], np.zeros(len(account), int)),
            "full_name": [people.full_name[place] for place in account],
            "created_at": begun.take(account),
        },
        "customers": {
            "id": world.customer_ids,
            "clinic_id": take(chain.clinic_ids, clinic),
            "user_id": take(account_ids, account_of),
            "assigned_sales_id": take(chain.staff_ids, sales_person(chain, rng, clinic)),
            "customer_code": [f"{BRANCHES[c][0]}-{number:06d}" for number, c in enumerate(clinic.tolist(), 1)],
            "full_name": people.full_name,
            "nickname": people.nickname,
            "email": text_column(emails),
            "phone": text_column(people.phone),
            "date_of_birth": calendar.dates(start - np.floor(age * 365.25)),
            "gender": take(GENDERS, people.gender),
            "address": take(
                [json.dumps({"district": b[4], "province": b[3]}, ensure_ascii=False) for b in BRANCHES], clinic
            ),
            "district": take([branch[4] for branch in BRANCHES], clinic),
            "province": take([branch[3] for branch in BRANCHES], clinic),
            "postal_code": take([branch[5] for branch in BRANCHES], clinic),
            "status": take(["active", "inactive", "blacklisted"], status),
            "customer_type": take(["regular", "vip", "member"], np.where(vip, 1, np.where(bought, 2, 0))),
            "source": take(sources, np.where(lead_source >= 0, lead_source + 4, alone)),
            "allergies": _some(rng, ALLERGIES, optional[0], 0.06),
            "medical_notes": _some(rng, MEDICAL, optional[1], 0.04),
            "skin_concerns": _concerns(rng, world),
            "notes": _some(rng, NOTES, optional[2], 0.12),
            "tags": take(
                ["[]", '["vip"]', '["package"]', '["new"]'],
                np.where(vip, 1, np.where(bought, 2, np.where(completed <= 1, 3, 0))),
            ),
            "metadata": [f'{{"line_id": "{handle}"}}' for handle in people.handle],
            "first_visit_date": calendar.dates(first),
            "last_visit_date": calendar.dates(last),
            "created_at": begun,
            "updated_at": calendar.timestamps(
                np.minimum(np.maximum(start, np.where(np.isfinite(last), last + 0.05, 0)), calendar.as_of - 1e-4)
            ),
        },
    }
    tables["customer_preferences"] = _preferences(world, rng)
    tables["email_unsubscribes"] = _unsubscribes(world, rng, emails)
    return tables


def _ends(world: World, past: np.ndarray) -> tuple[Floats, Floats]:
    """First and last completed visit of each customer, infinite without one."""
    visits, count = world.visits, len(world.customer_ids)
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(first, visits.customer[past], visits.begins[past])
    np.maximum.at(last, visits.customer[past], visits.begins[past])
    return first, last


def _some(rng: np.random.Generator, texts: tuple[str, ...], draws: np.ndarray, share: float) -> Any:
    return take(texts, np.where(rng.random(len(draws)) < share, draws % len(texts), -1))


def _concerns(rng: np.random.Generator, world: World) -> Any:
    both = [json.dumps(list(pair)) for pair in PERSONA_CONCERNS]
    one = [json.dumps([pair[0]]) for pair in PERSONA_CONCERNS]
    persona = world.customers.tastes.persona
    kind = rng.choice(3, len(persona), p=[0.5, 0.3, 0.2])
    return take([*both, *one, "[]"], np.where(kind == 2, 2 * len(both), persona + kind * len(both)))


def _preferences(world: World, rng: np.random.Generator) -> dict[str, Any]:
    laws, count = world.laws, len(world.customer_ids)
    known = np.flatnonzero(rng.random(count) < laws.preferences_share)
    size = len(known)
    return {
        "customer_id": take(world.customer_ids, known),
        "clinic_id": take(world.chain.clinic_ids, world.customers.clinic[known]),
        "preferred_channels": take(CHANNEL_SETS, rng.choice(6, size, p=[0.35, 0.25, 0.12, 0.1, 0.06, 0.12])),
        "do_not_contact": rng.random(size) < laws.do_not_contact_share,
        "marketing_opt_in": rng.random(size) < laws.opt_in_share,
        "best_contact_time": take(CONTACT_TIMES, rng.integers(0, len(CONTACT_TIMES), size)),
        "language": take(["th", "en"], (world.people.language[known] == ENGLISH).astype(int)),
        "max_weekly_contacts": rng.integers(1, 4, size),
        "max_monthly_contacts": rng.integers(3, 9, size),
        "created_at": world.calendar.timestamps(world.customers.start[known]),
    }


def _unsubscribes(world: World, rng: np.random.Generator, emails: list[str | None]) -> dict[str, Any]:
    laws, start, calendar = world.laws, world.customers.start, world.calendar
    drawn = np.flatnonzero(rng.random(len(emails)) < laws.unsubscribed_share)
    first_use = {
        (c, e): n for n, (c, e) in reversed(list(enumerate(zip(world.customers.clinic.tolist(), emails, strict=True))))
    }
    places = np.array(
        [n for n in drawn if emails[n] and first_use[int(world.customers.clinic[n]), emails[n]] == n], dtype=int
    )
    moment = start[places] + rng.random(len(places)) * (calendar.as_of - start[places])
    return {
        "id": draw_ids(world.seed, "unsubscribes", len(places)),
        "clinic_id": take(world.chain.clinic_ids, world.customers.clinic[places]),
        "email": take(emails, places),
        "reason": take(["too_many", "not_interested", "other"], rng.integers(-1, 3, len(places))),
        "unsubscribed_at": calendar.timestamps(moment),
    }
