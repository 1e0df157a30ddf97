"""Rows of customer_conversations and their truth: the application's analysis and its errors, null clinics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bn_aura_pipelines.sources.sample.catalogue import CHANNELS
from bn_aura_pipelines.sources.sample.conversations import CONCERN_NAMES, SENTIMENTS, Talks, draw_conversations
from bn_aura_pipelines.sources.sample.messages import Written, write_messages
from bn_aura_pipelines.sources.sample.tables import draw_ids, stream, take, text_column
from bn_aura_pipelines.sources.sample.world import World

TYPES = ("line", "chat", "ai_coach", "phone", "email", "sms")
LANGUAGE_NAMES = ("th", "en", "mixed")
TONES = (("frustrated", "hesitant"), ("neutral", "curious"), ("satisfied", "excited"))
SUMMARIES = ("ลูกค้าสอบถาม{t} กังวลเรื่อง {c}", "Customer asked about {t}; topic: {c}", "ติดตามผล {t} ประเด็น {c}")
NEXT_ACTIONS = ("โทรติดตามผล", "ส่งโปรโมชั่น", "นัดปรึกษาแพทย์", "follow up by LINE")


def conversation_tables(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of customer_conversations and of aura_truth.conversations."""
    talks = draw_conversations(world)
    written = write_messages(world, talks)
    rng = stream(world.seed, "conversation rows")
    laws, calendar, chain = world.laws, world.calendar, world.chain
    count = len(talks.begins)
    ids = draw_ids(world.seed, "conversations", count)
    noisy = rng.random(count) < laws.label_noise
    label = np.where(noisy, (talks.sentiment + rng.integers(1, 3, count)) % 3, talks.sentiment)
    begun_days = calendar.as_of - written.last
    status = np.where(begun_days < 7, 0, np.where(rng.random(count) < 0.12, 2, 1))
    pairs = zip(talks.concern.tolist(), talks.second_concern.tolist(), strict=True)
    concerns = [json.dumps([CONCERN_NAMES[place] for place in pair if place >= 0]) for pair in pairs]
    products = ['{"' + name + '"}' for name in written.treatments]
    clinic = np.where(rng.random(count) < laws.conversation_without_clinic, -1, talks.clinic)
    scored = rng.random(count) < 0.4
    chance = np.clip(np.round(50 + 15 * talks.polarity + rng.normal(0, 15, count)), 0, 100)
    action = np.where(rng.random(count) < 0.2, rng.integers(0, len(NEXT_ACTIONS), count), -1)
    rows = {
        "id": ids,
        "customer_id": take(world.customer_ids, talks.customer),
        "sales_staff_id": take(chain.staff_ids, talks.sales),
        "clinic_id": take(chain.clinic_ids, clinic),
        "conversation_type": take(TYPES, rng.choice(6, count, p=[0.5, 0.2, 0.12, 0.08, 0.06, 0.04])),
        "messages": text_column(written.messages),
        "summary": text_column(_summaries(rng, talks, written)),
        "deal_probability": _integers(chance, scored),
        "objections_handled": take(
            [f"{{{name}}}" for name in CONCERN_NAMES], np.where(rng.random(count) < 0.3, talks.concern, -1)
        ),
        "products_discussed": text_column(
            [p if keep else None for p, keep in zip(products, rng.random(count) < 0.5, strict=True)]
        ),
        "next_action": take(NEXT_ACTIONS, action),
        "next_action_date": calendar.timestamps(np.where(action >= 0, written.last + 3, np.inf)),
        "status": take(["active", "completed", "abandoned"], status),
        "metadata": _metadata(world, talks, written, label, concerns),
        "created_at": calendar.timestamps(talks.begins),
        "updated_at": calendar.timestamps(written.last),
    }
    truth = {
        "conversation_id": ids,
        "polarity": talks.polarity,
        "sentiment": take(SENTIMENTS, talks.sentiment),
        "label_noise": noisy,
        "template_set": take(["training", "test"], talks.test_templates.astype(int)),
        "language": take(LANGUAGE_NAMES, talks.language),
        "concerns": concerns,
        "satisfaction": _floats(talks.satisfaction),
    }
    return rows, truth


def _summaries(rng: np.random.Generator, talks: Talks, written: Written) -> list[str | None]:
    draws = rng.integers(0, 10, len(talks.begins)).tolist()
    return [
        SUMMARIES[draw].format(t=name, c=CONCERN_NAMES[concern]) if draw < len(SUMMARIES) else None
        for draw, name, concern in zip(draws, written.treatments, talks.concern.tolist(), strict=True)
    ]


def _metadata(world: World, talks: Talks, written: Written, label: np.ndarray, concerns: list[str]) -> list[str]:
    """Where a conversation came from and, for most, the analysis that the application made of it."""
    rng, count = stream(world.seed, "analysis"), len(talks.begins)
    analysed = (rng.random(count) < world.laws.analysed_share) & written.settled
    analysed &= written.first_part + 5 / 1440 < world.calendar.as_of
    score = np.clip(
        np.round(5 + 2 * talks.polarity + 2 * (label - talks.sentiment) + rng.normal(0, 1, count), 1), 0, 10
    )
    confidence = np.round(rng.uniform(0.55, 0.98, count), 2)
    channel = rng.integers(0, len(CHANNELS), count).tolist()
    tone = rng.integers(0, 2, count).tolist()
    at = world.calendar.iso(written.first_part + 5 / 1440)
    lead = [world.lead_ids[place] if place >= 0 else None for place in talks.lead.tolist()]
    found = []
    for row, is_analysed in enumerate(analysed.tolist()):
        origin = f'"lead_id": "{lead[row]}"' if lead[row] else f'"channel": "{CHANNELS[channel[row]]}"'
        if not is_analysed:
            found.append(f"{{{origin}}}")
            continue
        felt = int(label[row])
        minded, liked = (concerns[row], "[]") if felt < 2 else ("[]", concerns[row])
        found.append(
            f'{{{origin}, "sentiment": {{"overall_sentiment": "{SENTIMENTS[felt]}", "confidence": {confidence[row]}, '
            f'"satisfaction_score": {score[row]}, "key_concerns": {minded}, "positive_signals": {liked}, '
            f'"improvement_suggestions": [], "emotional_tone": "{TONES[felt][tone[row]]}", '
            f'"analyzed_at": "{at[row]}"}}}}'
        )
    return found


def _integers(values: np.ndarray, known: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(values.astype(np.int64), mask=~known)


def _floats(values: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(values, mask=np.isnan(values))
