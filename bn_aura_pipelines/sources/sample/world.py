"""Everything drawn about one sample, before any of it becomes a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bn_aura_pipelines.sources.sample.chain import Chain, draw_chain
from bn_aura_pipelines.sources.sample.choices import draw_tastes
from bn_aura_pipelines.sources.sample.clock import Calendar, make_calendar
from bn_aura_pipelines.sources.sample.laws import Laws
from bn_aura_pipelines.sources.sample.leads import Arrivals, Leads, simulate_leads
from bn_aura_pipelines.sources.sample.people import People, draw_people
from bn_aura_pipelines.sources.sample.tables import draw_ids, stream
from bn_aura_pipelines.sources.sample.visits import Customers, Visits, simulate_visits


@dataclass(frozen=True)
class World:
    """A drawn sample. `visits` holds also what lies after the moment, for the truth."""

    seed: int
    laws: Laws
    calendar: Calendar
    chain: Chain
    leads: Leads
    arrivals: Arrivals
    customers: Customers
    visits: Visits
    customer_ids: list[str]
    lead_ids: list[str]
    people: People  # the customers
    strangers: People  # the leads, as long as they are not won


def draw_world(customers: int, as_of: datetime, seed: int, laws: Laws) -> World:
    """Draw a chain, its leads, its customers and their visits."""
    calendar = make_calendar(as_of, laws)
    chain = draw_chain(seed, customers)
    leads, arrivals = simulate_leads(calendar, laws, stream(seed, "leads"), customers, chain.shares)
    rng = stream(seed, "customers")
    lives = Customers(
        start=arrivals.start,
        clinic=arrivals.clinic,
        rate=rng.standard_gamma(laws.visit_rate_shape, customers) / laws.visit_rate_days,
        no_show=rng.normal(0, laws.no_show_person, customers),
        first_satisfaction=arrivals.satisfaction,
        tastes=draw_tastes(laws, rng, customers),
    )
    return World(
        seed=seed,
        laws=laws,
        calendar=calendar,
        chain=chain,
        leads=leads,
        arrivals=arrivals,
        customers=lives,
        visits=simulate_visits(calendar, laws, stream(seed, "visits"), lives, chain.therapists),
        customer_ids=draw_ids(seed, "customers", customers),
        lead_ids=draw_ids(seed, "leads", len(leads.created)),
        people=draw_people(laws, stream(seed, "people"), customers, ""),
        strangers=draw_people(laws, stream(seed, "strangers"), len(leads.created), "x"),
    )
