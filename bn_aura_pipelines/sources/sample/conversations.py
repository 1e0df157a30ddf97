"""Which conversations there are, what is felt and minded in them. Their words belong to `messages`."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample.catalogue import PERSONAS, TREATMENTS
from bn_aura_pipelines.sources.sample.chain import sales_person
from bn_aura_pipelines.sources.sample.choices import INJECTED
from bn_aura_pipelines.sources.sample.clock import Floats, Ints, waking_hours
from bn_aura_pipelines.sources.sample.tables import stream
from bn_aura_pipelines.sources.sample.templates_th import CONCERNS
from bn_aura_pipelines.sources.sample.visits import COMPLETED
from bn_aura_pipelines.sources.sample.world import World

CONCERN_NAMES: tuple[str, ...] = tuple(CONCERNS)
PRICE, PAIN, RESULTS, QUEUE, SERVICE, DOWNTIME, SAFETY, PROMOTION = range(8)
SENTIMENTS = ("negative", "neutral", "positive")
AFTER, BEFORE, LEAD = range(3)

# What each persona minds by itself, as log-weights in the order of CONCERN_NAMES.
MINDS: dict[str, tuple[float, ...]] = {
    "acne": (0.6, 0.0, 1.0, 0.0, 0.0, 0.0, 0.3, 0.6),
    "pigment": (0.2, 0.2, 1.0, 0.0, 0.0, 0.5, 0.2, 0.3),
    "anti_ageing": (0.0, 0.4, 0.8, 0.2, 0.4, 0.4, 0.6, 0.0),
    "lifting": (0.4, 0.8, 0.8, 0.2, 0.4, 0.4, 0.3, 0.0),
    "body_hair": (0.5, 0.7, 0.5, 0.3, 0.2, 0.0, 0.0, 0.6),
    "drips": (0.3, 0.0, 0.4, 0.6, 0.3, -0.6, 0.3, 0.6),
}
# At enquiries people ask about price and offers first.
ENQUIRY: tuple[float, ...] = (1.2, 0.2, 0.3, 0.2, -0.6, 0.2, 0.3, 0.9)


@dataclass(frozen=True)
class Talks:
    """One element a conversation, in order of beginning."""

    when: Ints  # AFTER a visit, BEFORE one, or about a LEAD
    customer: Ints  # -1 for a lead
    lead: Ints  # -1 for a customer
    clinic: Ints
    sales: Ints
    begins: Floats
    answered: Floats  # days until the clinic's first answer, infinite when there is none
    satisfaction: Floats  # nan for a lead
    polarity: Floats
    sentiment: Ints  # place in SENTIMENTS
    language: Ints
    treatment: Ints
    price: Floats
    concern: Ints  # place in CONCERN_NAMES
    second_concern: Ints  # -1 for none
    test_templates: NDArray[np.bool_]


def draw_conversations(world: World) -> Talks:
    """Conversations around visits and with leads that begin before the moment."""
    rng = stream(world.seed, "conversations")
    parts = [_around_visits(world, rng), _with_leads(world, rng)]
    joined = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Talks)}
    order = np.argsort(joined["begins"], kind="stable")
    order = order[joined["begins"][order] < world.calendar.as_of]
    return Talks(**{name: values[order] for name, values in joined.items()})


def _around_visits(world: World, rng: np.random.Generator) -> Talks:
    laws, visits = world.laws, world.visits
    chosen = np.flatnonzero(
        (visits.outcome == COMPLETED)
        & (visits.begins < world.calendar.as_of)
        & (rng.random(len(visits.customer)) < laws.talk_share_visit)
    )
    count, who = len(chosen), visits.customer[chosen]
    when = np.where(rng.random(count) < 0.25, BEFORE, AFTER)
    booked, visited = visits.booked[chosen], visits.begins[chosen]
    days = 1 + np.floor(rng.exponential(1.0, count))
    later = np.floor(visited) + days + (10 + 10 * rng.random(count)) / 24
    earlier = np.clip(waking_hours(booked + rng.random(count) * (visited - booked)), booked, visited)
    previous = np.concatenate([[0.0], visits.satisfaction[:-1]])
    newcomer = np.concatenate([[True], visits.customer[1:] != visits.customer[:-1]])
    previous = np.where(newcomer, world.customers.first_satisfaction[visits.customer], previous)
    satisfaction = np.where(when == BEFORE, previous[chosen], visits.satisfaction[chosen])
    treatment = np.where(visits.treatment[chosen] >= 0, visits.treatment[chosen], rng.integers(0, 3, count))
    price = np.where(visits.price[chosen] > 0, visits.price[chosen], 1500.0)
    weights = np.array([MINDS[name] for name in PERSONAS])[world.customers.tastes.persona[who]]
    after = when == AFTER
    weights[:, QUEUE] += after * 1.5 * np.maximum(visits.waiting[chosen], 0)
    weights[:, RESULTS] += after * 0.6 * np.abs(visits.result[chosen])
    weights[:, SERVICE] += after * 0.6 * np.abs(world.chain.skill[visits.staff[chosen]])
    weights[:, PRICE] += 0.8 * np.maximum(np.log(price / world.customers.tastes.budget[who]), 0)
    weights[:, [PAIN, SAFETY, DOWNTIME]] += 0.6 * INJECTED[treatment][:, None]
    weights[:, PROMOTION] += 0.8 * (world.calendar.season[np.floor(visited).astype(int)] > 1.3)
    polarity = laws.polarity_satisfaction * satisfaction + rng.normal(0, laws.polarity_noise, count)
    concern, second = _two_concerns(rng, weights)
    return Talks(
        when=when,
        customer=who,
        lead=np.full(count, -1),
        clinic=world.customers.clinic[who],
        sales=sales_person(world.chain, rng, world.customers.clinic[who]),
        begins=np.where(after, later, earlier),
        answered=rng.exponential(0.6, count) / 24,
        satisfaction=satisfaction,
        polarity=polarity,
        sentiment=_sentiment(world, polarity),
        language=world.people.language[who],
        treatment=treatment,
        price=price,
        concern=concern,
        second_concern=second,
        test_templates=rng.random(count) < laws.test_template_share,
    )


def _with_leads(world: World, rng: np.random.Generator) -> Talks:
    laws, leads = world.laws, world.leads
    chosen = np.flatnonzero(rng.random(len(leads.created)) < laws.talk_share_lead)
    count = len(chosen)
    polarity = laws.polarity_satisfaction * leads.quality[chosen] + rng.normal(0, laws.polarity_noise, count)
    treatment = rng.integers(0, len(TREATMENTS), count)
    middle = np.array([(t.price_min + t.price_max) / 2 for t in TREATMENTS])
    concern, second = _two_concerns(rng, np.tile(ENQUIRY, (count, 1)))
    return Talks(
        when=np.full(count, LEAD),
        customer=np.full(count, -1),
        lead=chosen,
        clinic=leads.clinic[chosen],
        sales=sales_person(world.chain, rng, leads.clinic[chosen]),
        begins=leads.created[chosen],
        answered=leads.contacted[chosen] - leads.created[chosen],
        satisfaction=np.full(count, np.nan),
        polarity=polarity,
        sentiment=_sentiment(world, polarity),
        language=lead_language(world)[chosen],
        treatment=treatment,
        price=middle[treatment],
        concern=concern,
        second_concern=second,
        test_templates=rng.random(count) < laws.test_template_share,
    )


def lead_language(world: World) -> Ints:
    """The language of each lead: that of the customer it became, else its own."""
    customer = world.leads.customer
    return np.where(customer >= 0, world.people.language[customer], world.strangers.language)


def _sentiment(world: World, polarity: Floats) -> Ints:
    edge = world.laws.polarity_threshold
    return np.digitize(polarity, (-edge, edge))


def _two_concerns(rng: np.random.Generator, weights: Floats) -> tuple[Ints, Ints]:
    """One concern by its weight and, in 45 % of conversations, another."""
    drawn = weights + rng.gumbel(size=weights.shape)
    first = drawn.argmax(axis=1)
    drawn[np.arange(len(drawn)), first] = -np.inf
    return first, np.where(rng.random(len(drawn)) < 0.45, drawn.argmax(axis=1), -1)
