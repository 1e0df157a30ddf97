"""The chain itself: clinics, the people who work there, the catalogue. Customers belong to `customer_rows`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from bn_aura_pipelines.sources.sample.catalogue import BRANCHES, TREATMENTS
from bn_aura_pipelines.sources.sample.clock import Calendar, Floats, Ints
from bn_aura_pipelines.sources.sample.names import FEMALE, MALE, SURNAMES
from bn_aura_pipelines.sources.sample.tables import draw_ids, stream, take, text_column
from bn_aura_pipelines.sources.sample.visits import Staff

OWNER, ADMIN, THERAPIST, SALES = range(4)
STAFF_ROLES = ("clinic_owner", "clinic_admin", "clinic_staff", "sales_staff")


@dataclass(frozen=True)
class Chain:
    """Clinics and their people. Staff stand clinic by clinic, in the order of the roles."""

    shares: Floats  # of the customers, by clinic
    clinic_ids: list[str]
    treatment_ids: list[str]
    staff_ids: list[str]  # of their users
    staff_clinic: Ints
    staff_role: Ints
    therapists: Staff  # places in `staff_ids`
    sales_first: Ints
    sales_count: Ints
    skill: Floats


def draw_chain(seed: int, customers: int) -> Chain:
    """About one clinic for 1,000 customers, between 2 and 40, the larger ones with more people."""
    count = int(np.clip(round(customers / 1000), 2, len(BRANCHES)))
    shares = 1 / np.arange(1, count + 1) ** 0.7
    shares /= shares.sum()
    therapists = np.clip(np.round(shares * customers / 150), 3, 12).astype(int)
    sales = np.clip(np.round(shares * customers / 250), 2, 8).astype(int)
    by_role = np.stack([np.ones(count, int), np.ones(count, int), therapists, sales], axis=1)
    role = np.concatenate([np.repeat(np.arange(4), row) for row in by_role])
    clinic = np.repeat(np.arange(count), by_role.sum(axis=1))
    begins = np.concatenate([[0], np.cumsum(by_role.sum(axis=1))[:-1]])
    skill = stream(seed, "staff").standard_normal(len(role))
    return Chain(
        shares=shares,
        clinic_ids=draw_ids(seed, "clinics", count),
        treatment_ids=draw_ids(seed, "treatments", len(TREATMENTS)),
        staff_ids=draw_ids(seed, "staff", len(role)),
        staff_clinic=clinic,
        staff_role=role,
        therapists=Staff(first=begins + 2, count=therapists, skill=skill),
        sales_first=begins + 2 + therapists,
        sales_count=sales,
        skill=skill,
    )


def sales_person(chain: Chain, rng: np.random.Generator, clinic: Ints) -> Ints:
    """One of the clinic's sales people for each element."""
    return chain.sales_first[clinic] + rng.integers(0, 1 << 30, len(clinic)) % chain.sales_count[clinic]


def chain_tables(chain: Chain, calendar: Calendar, seed: int) -> dict[str, dict[str, Any]]:
    """Columns of clinics, users (of the staff), clinic_staff and treatments; all older than the window."""
    rng = stream(seed, "chain")
    clinics, staff = len(chain.clinic_ids), len(chain.staff_ids)
    opened = calendar.timestamps(-1 - np.floor(400 * rng.random(clinics)) + 10 / 24)
    hired = calendar.timestamps(-1 + np.zeros(staff) + 0.5)
    first = rng.integers(0, len(FEMALE) + len(MALE), staff)
    last = rng.integers(0, len(SURNAMES), staff)
    people = FEMALE + MALE
    owners = np.flatnonzero(chain.staff_role == OWNER)
    listed = calendar.timestamps(np.full(len(TREATMENTS), -400.0))
    return {
        "clinics": {
            "id": chain.clinic_ids,
            "clinic_code": [f"AURA-{branch[0]}" for branch in BRANCHES[:clinics]],
            "display_name": [
                _json({"th": f"ออร่าคลินิก สาขา{branch[2]}", "en": f"Aura Clinic {branch[1]}"})
                for branch in BRANCHES[:clinics]
            ],
            "subscription_tier": ["enterprise" if share > 0.1 else "professional" for share in chain.shares],
            "max_sales_staff": chain.sales_count,
            "owner_user_id": take(chain.staff_ids, owners),
            "created_at": opened,
            "updated_at": opened,
        },
        "users": {
            "id": chain.staff_ids,
            "email": [
                f"{people[f][1].lower()}.{SURNAMES[s][1].lower()}.staff{number}@example.com"
                for number, (f, s) in enumerate(zip(first, last, strict=True))
            ],
            "role": take(["premium_customer", "free_user", "free_user", "free_user"], chain.staff_role),
            "tier": take(["clinical", "premium", "premium", "premium"], chain.staff_role),
            "clinic_id": take(chain.clinic_ids, chain.staff_clinic),
            "full_name": [f"{people[f][0]} {SURNAMES[s][0]}" for f, s in zip(first, last, strict=True)],
            "created_at": hired,
        },
        "clinic_staff": {
            "id": draw_ids(seed, "clinic_staff", staff),
            "clinic_id": take(chain.clinic_ids, chain.staff_clinic),
            "user_id": chain.staff_ids,
            "role": take(STAFF_ROLES, chain.staff_role),
            "created_at": hired,
        },
        "treatments": {
            "id": chain.treatment_ids,
            "names": [_json({"th": t.name_th, "en": t.name_en}) for t in TREATMENTS],
            "category": text_column([t.category for t in TREATMENTS]),
            "price_min": [t.price_min for t in TREATMENTS],
            "price_max": [t.price_max for t in TREATMENTS],
            "created_at": listed,
        },
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
