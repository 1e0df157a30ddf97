"""When open leads are won, if at all: by the stage they stand at where a history of stages is known, else by their age.

Only decided leads teach here, by their observed stays; who wins at all is the lead model's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.models.leads.training import LeadRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Texts = NDArray[np.object_]

DAY = 86_400.0
WINDOW_DAYS = 365
LEAST_DECIDED = 30
# With fewer decided leads that stood at a stage as long, their age says more than their stage.
LEAST_ALIKE = 10

# A lead counts when its outcome was observed: of one first seen when it was decided, the stages passed are unknown.
DECIDED_STAYS = """
    select
        s.lead_id,
        s.stage,
        extract(epoch from s.valid_to - s.valid_from)::float8 / 86400 as stay,
        extract(epoch from d.valid_from - s.valid_from)::float8 / 86400 as to_outcome,
        (d.stage = 'won')::int as won
    from aura_staging.stg_lead_stages as d
    inner join aura_staging.stg_lead_stages as s on d.lead_id = s.lead_id and d.position > s.position
    where
        d.stage in ('won', 'lost') and d.valid_to is null and d.observed
        and d.valid_from >= aura_ops.as_of() - interval '365 days'
    order by d.valid_from, s.lead_id, s.position
"""
PRESENT_STAYS = """
    select
        l.lead_id::text,
        coalesce(h.stage, l.stage) as stage,
        extract(epoch from coalesce(h.valid_from, l.stage_changed_at))::float8 as since
    from aura_staging.stg_leads as l
    left join aura_staging.stg_lead_stages as h
        on l.lead_id = h.lead_id and h.valid_to is null and h.stage not in ('won', 'lost')
    where l.stage not in ('won', 'lost')
"""


@dataclass(frozen=True)
class Places:
    """Where open leads (n,) stand: days since they were entered, the stage, and days at it."""

    age: Array
    stage: Texts
    stay: Array

    def take(self, rows: NDArray[np.intp]) -> Places:
        return Places(self.age[rows], self.stage[rows], self.stay[rows])


@dataclass(frozen=True)
class Stays:
    """Stays of decided leads at one stage (n,): days there, days from its beginning to the outcome, won or lost."""

    days: Array
    to_outcome: Array
    won: NDArray[np.bool_]


@dataclass(frozen=True)
class Hazards:
    """Days from entry to win and to loss of decided leads, ascending; and, where enough were observed, the stays of
    `winners` and `losers` at each stage."""

    to_win: Array
    to_loss: Array
    stays: dict[str, Stays]
    winners: int
    losers: int

    def win_within(self, probability: Array, places: Places, days: float) -> Array:
        """P(won within `days`), shape (n,), of leads that are open at these places, given P(won) as they were entered.

        Bayes: that a lead has come to a stage and stood there so long is likelier for later winners or for later
        losers, as it was among decided leads; and so many of those winners were won within the days after it.
        """
        import numpy as np

        found = self._by_age(probability, places.age, days)
        for stage, stays in self.stays.items():
            here = np.flatnonzero(places.stage == stage)
            for whole in np.unique(np.floor(places.stay[here])):
                alike = stays.days > whole
                won = alike & stays.won
                if alike.sum() < LEAST_ALIKE:
                    continue
                chosen = here[np.floor(places.stay[here]) == whole]
                p = probability[chosen]
                coming = p * (won & (stays.to_outcome <= whole + days)).sum() / self.winners
                lost = (1 - p) * (alike & ~stays.won).sum() / self.losers
                found[chosen] = coming / np.maximum(p * won.sum() / self.winners + lost, 1e-9)
        return found

    def _by_age(self, probability: Array, age: Array, days: float) -> Array:
        import numpy as np

        won_by, lost_by = _share(self.to_win, age), _share(self.to_loss, age)
        still = probability * (1 - won_by) + (1 - probability) * (1 - lost_by)
        coming = probability * (_share(self.to_win, age + days) - won_by)
        # Longer open than anything seen: as likely as ever, but nobody knows when, so it is spread over a year.
        late = probability * min(days / 365, 1.0)
        return np.where(still > 1e-3, coming / np.maximum(still, 1e-3), late)


def learn_hazards(connection: sqlalchemy.Connection, rows: LeadRows, moment: float) -> Hazards | None:
    """From the leads decided in the year before the run's moment (in seconds); None where there are too few."""
    import numpy as np

    known = rows.known_at(moment)
    recent = known.decided >= moment - WINDOW_DAYS * DAY
    days = np.maximum(known.decided - known.created, 0)[recent] / DAY
    won = known.won[recent]
    if len(won) < LEAST_DECIDED or not 0 < won.sum() < len(won):
        return None
    stays, winners, losers = _stays(connection)
    return Hazards(np.sort(days[won == 1]), np.sort(days[won == 0]), stays, winners, losers)


def read_places(connection: sqlalchemy.Connection, leads: list[str], created: Array, moment: float) -> Places:
    """Where these open leads, entered at these seconds, stand at the run's moment."""
    import numpy as np

    stage, since = np.full(len(leads), "new", object), created.copy()
    place = {lead: number for number, lead in enumerate(leads)}
    for lead, name, begun in read_frame(connection, PRESENT_STAYS).itertuples(index=False):
        number = place.get(lead)
        if number is not None:
            stage[number], since[number] = name, begun
    return Places((moment - created) / DAY, stage, np.maximum(moment - since, 0) / DAY)


def _stays(connection: sqlalchemy.Connection) -> tuple[dict[str, Stays], int, int]:
    """The stays at each stage, and how many leads were won and lost that they are of; none where too few were."""
    import numpy as np

    frame = read_frame(connection, DECIDED_STAYS)
    won = frame["won"].to_numpy(int) == 1
    leads = frame["lead_id"].astype(str).to_numpy()
    winners, losers = len(np.unique(leads[won])), len(np.unique(leads[~won]))
    if min(winners, losers) < LEAST_DECIDED:
        return {}, winners, losers
    stages = frame["stage"].to_numpy(object)
    days, to_outcome = frame["stay"].to_numpy(float), frame["to_outcome"].to_numpy(float)
    found = {
        str(stage): Stays(days[stages == stage], to_outcome[stages == stage], won[stages == stage])
        for stage in sorted(set(stages.tolist()) - {"won", "lost"})
    }
    return found, winners, losers


def _share(ascending: Array, days: Array) -> Array:
    import numpy as np

    return np.searchsorted(ascending, days, side="right") / len(ascending)
