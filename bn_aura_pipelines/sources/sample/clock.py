"""The sample's clock: days since the window's first Bangkok midnight, the season, and the way back to moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample.laws import Laws

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BANGKOK = timezone(timedelta(hours=7))
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Calendar:
    """`origin` is day 0.0, a midnight in Bangkok, `as_of` the moment in days after it."""

    origin: np.datetime64
    as_of: float
    season: Floats  # factor of the visit rate by day, mean one
    elapsed: Floats  # season-days passed at each midnight, one longer than `season`

    def season_days(self, moment: Floats) -> Floats:
        """Season-days passed since the origin."""
        return np.interp(moment, np.arange(len(self.elapsed)), self.elapsed)

    def after(self, season_days: Floats) -> Floats:
        """The moment at which so many season-days have passed; infinite beyond the end."""
        return np.interp(season_days, self.elapsed, np.arange(len(self.elapsed)), right=np.inf)

    def days(self, moment: datetime) -> float:
        """A moment (aware) in days after the origin."""
        local = np.datetime64(moment.astimezone(BANGKOK).replace(tzinfo=None), "us")
        return float((local - self.origin) / np.timedelta64(1, "us")) / DAY_SECONDS / 1e6

    def local(self, moment: Floats) -> NDArray[np.datetime64]:
        """Bangkok's wall clock, to the second."""
        return self.origin + np.floor(np.asarray(moment) * DAY_SECONDS + 1e-4).astype("timedelta64[s]")

    def iso(self, moment: Floats) -> list[str]:
        """Text as the application writes it, with Bangkok's offset."""
        return [f"{text}+07:00" for text in np.datetime_as_string(self.local(moment), unit="s").tolist()]

    def timestamps(self, moment: Floats) -> Any:
        """A column for COPY; null where the moment is not finite."""
        import pyarrow as pa

        known = np.isfinite(moment)
        utc = self.local(np.where(known, moment, 0)) - np.timedelta64(7, "h")
        return pa.array(utc, pa.timestamp("s"), mask=~known).cast(pa.timestamp("s", "UTC"))

    def dates(self, moment: Floats) -> Any:
        """A column of Bangkok days; null where the moment is not finite."""
        import pyarrow as pa

        known = np.isfinite(moment)
        return pa.array(self.local(np.where(known, moment, 0)).astype("datetime64[D]"), mask=~known)


def make_calendar(as_of: datetime, laws: Laws) -> Calendar:
    """The window of `laws` before `as_of` (aware), and the days after it that only the truth knows."""
    local = as_of.astimezone(BANGKOK).replace(tzinfo=None)
    first = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=laws.history_days)
    origin = np.datetime64(first, "s")
    days = origin.astype("datetime64[D]") + np.arange(laws.history_days + laws.ahead_days + 1)
    season = _season(days, laws)
    season = season / season.mean()
    return Calendar(
        origin=origin,
        as_of=(local - first).total_seconds() / DAY_SECONDS,
        season=season,
        elapsed=np.concatenate([[0.0], np.cumsum(season)]),
    )


def _season(days: NDArray[np.datetime64], laws: Laws) -> Floats:
    month = days.astype("datetime64[M]").astype(np.int64) % 12 + 1
    day = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    weekend = (days.astype(np.int64) + 3) % 7 >= 5  # day 0 of the epoch was a Thursday
    factor = np.where(weekend, laws.season_weekend, 1.0)
    factor = np.where((day >= 25) | (day <= 2), factor * laws.season_payday, factor)
    factor = np.where((month == 11) & (day >= 8) & (day <= 14), factor * laws.season_november_sale, factor)
    before = ((month == 3) & (day >= 25)) | ((month == 4) & (day <= 10))
    factor = np.where(before, factor * laws.season_before_songkran, factor)
    return np.where((month == 4) & (day >= 13) & (day <= 15), factor * laws.season_songkran, factor)


def waking_hours(moment: Floats) -> Floats:
    """The same days and the same order, at a time between 8:00 and midnight."""
    day = np.floor(moment)
    return day + (8 + 15.9 * (moment - day)) / 24


def opening_hours(moment: Floats, rng: np.random.Generator, before: float) -> Floats:
    """The same days, at a time between 10:00 and 20:00, and earlier than `before`."""
    shifted = np.floor(moment) + (10 + 10 * rng.random(len(moment))) / 24
    return np.where(shifted >= before, shifted - 1, shifted)
