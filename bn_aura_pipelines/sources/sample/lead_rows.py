"""Rows of sales_leads and referrals, with a planted leak: some notes are written after the outcome."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample.catalogue import LEAD_SOURCES, LOST, PERSONA_CONCERNS, STAGES, WON
from bn_aura_pipelines.sources.sample.chain import sales_person
from bn_aura_pipelines.sources.sample.tables import draw_ids, stream, take, text_column
from bn_aura_pipelines.sources.sample.world import World

FIRST_NOTES = ("สนใจโปรโมชั่น", "ขอข้อมูลเพิ่มเติม", "asked about price", "ทักมาทางไลน์", "อยากนัดปรึกษาฟรี")
WON_NOTES = ("ปิดการขายแล้ว จ่ายมัดจำเรียบร้อย", "closed, deposit paid", "จองคอร์สแล้ว")
LOST_NOTES = ("ไม่ตอบไลน์", "went to another clinic", "แพงเกินไป ไม่เอาแล้ว", "ติดต่อไม่ได้")
CONCERNS = sorted({concern for pair in PERSONA_CONCERNS for concern in pair})


def lead_tables(world: World) -> tuple[dict[str, dict[str, Any]], NDArray[np.bool_]]:
    """Columns of sales_leads and referrals, and which leads carry a note written after their outcome."""
    leads, laws, calendar, chain = world.leads, world.laws, world.calendar, world.chain
    rng = stream(world.seed, "lead rows")
    count = len(leads.created)
    open_ = leads.stage < WON
    temperature = open_ & (rng.random(count) < laws.temperature_share)
    warmth = np.digitize(leads.quality + 0.5 * rng.standard_normal(count), (-0.4, 0.5))
    status = np.where(temperature, len(STAGES) + warmth, leads.stage)
    changed = np.where(temperature & np.isfinite(leads.contacted), leads.contacted, leads.changed)
    parts = np.clip(np.round(13 + 3.0 * leads.quality + rng.normal(0, 5, (4, count))), 0, 25).astype(int)
    score = parts.sum(axis=0)
    late = ((leads.stage == WON) & (rng.random(count) < laws.late_note_share_won)) | (
        (leads.stage == LOST) & (rng.random(count) < laws.late_note_share_lost)
    )
    person = _people(world)
    without_clinic = rng.random(count) < laws.lead_without_clinic
    concern = rng.integers(0, len(CONCERNS), count)
    value = np.exp(rng.normal(np.log(9000) + 0.15 * leads.quality, 0.6))
    tables = {
        "sales_leads": {
            "id": world.lead_ids,
            "clinic_id": take(chain.clinic_ids, np.where(without_clinic, -1, leads.clinic)),
            "sales_user_id": take(chain.staff_ids, sales_person(chain, rng, leads.clinic)),
            "customer_id": take(world.customer_ids, leads.customer),
            **person,
            "status": take([*STAGES, "cold", "warm", "hot"], status),
            "score": score,
            "category": take(["cold", "warm", "hot"], np.digitize(score, (50, 75))),
            "confidence": np.round(rng.uniform(0.5, 0.95, count), 2),
            "source": take([source[0] for source in LEAD_SOURCES], leads.source),
            "primary_concern": take(CONCERNS, np.where(rng.random(count) < 0.1, -1, concern)),
            "estimated_value": np.round(np.minimum(value, 90_000) / 100) * 100,
            "priority": take(["low", "medium", "high"], np.digitize(score, (40, 65))),
            "notes": _notes(world, rng, late),
            "metadata": _metadata(world, rng, parts),
            "last_contacted_at": calendar.timestamps(leads.contacted),
            "created_at": calendar.timestamps(leads.created),
            "updated_at": calendar.timestamps(changed),
        },
        "referrals": _referrals(world, rng),
    }
    return tables, late


def _people(world: World) -> dict[str, Any]:
    """Name, e-mail and telephone: the customer's, where the lead became one."""
    mine, theirs, customer = world.strangers, world.people, world.leads.customer.tolist()
    return {
        "name": [theirs.full_name[c] if c >= 0 else own for c, own in zip(customer, mine.full_name, strict=True)],
        "email": text_column([theirs.email[c] if c >= 0 else own for c, own in zip(customer, mine.email, strict=True)]),
        "phone": text_column([theirs.phone[c] if c >= 0 else own for c, own in zip(customer, mine.phone, strict=True)]),
    }


def _notes(world: World, rng: np.random.Generator, late: NDArray[np.bool_]) -> Any:
    stage, count = world.leads.stage, len(late)
    texts = [*FIRST_NOTES, *WON_NOTES, *LOST_NOTES]
    draw = rng.integers(0, 1 << 20, count)
    first = np.where(rng.random(count) < 0.4, draw % len(FIRST_NOTES), -1)
    won = len(FIRST_NOTES) + draw % len(WON_NOTES)
    lost = len(FIRST_NOTES) + len(WON_NOTES) + draw % len(LOST_NOTES)
    return take(texts, np.where(late, np.where(stage == WON, won, lost), first))


def _metadata(world: World, rng: np.random.Generator, parts: NDArray[np.int64]) -> list[str]:
    """The application's four part scores, what the person looked at before asking, and whether a skin scan was done."""
    quality, count = world.leads.quality, len(world.leads.quality)
    pages = rng.poisson(np.exp(1.0 + 0.35 * quality))
    seconds = np.round(np.exp(rng.normal(4.5 + 0.3 * quality, 0.8))).astype(int)
    scanned = rng.random(count) < 1 / (1 + np.exp(1.2 - 0.8 * quality))
    rows = zip(*parts.tolist(), pages.tolist(), seconds.tolist(), scanned.tolist(), strict=True)
    return [
        json.dumps(
            {
                "scoring": {"skinNeed": need, "engagement": engagement, "budget": budget, "timing": timing},
                "engagementData": {"pageViews": views, "secondsOnSite": stay},
            }
            | ({"analysisData": {"skinScan": True}} if scan else {})
        )
        for need, engagement, budget, timing, views, stay, scan in rows
    ]


def _referrals(world: World, rng: np.random.Generator) -> dict[str, Any]:
    leads = world.leads
    referred = np.flatnonzero(leads.referrer >= 0)
    won = leads.customer[referred] >= 0
    rewarded = won & (rng.random(len(referred)) < 0.6)
    return {
        "id": draw_ids(world.seed, "referrals", len(referred)),
        "clinic_id": take(world.chain.clinic_ids, leads.clinic[referred]),
        "referrer_customer_id": take(world.customer_ids, leads.referrer[referred]),
        "referred_customer_id": take(world.customer_ids, leads.customer[referred]),
        "referral_code": [f"REF{number:06d}" for number in range(1, len(referred) + 1)],
        "status": take(["pending", "completed", "rewarded"], won.astype(int) + rewarded),
        "created_at": world.calendar.timestamps(leads.created[referred]),
    }
