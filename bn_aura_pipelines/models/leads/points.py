"""The application's four-part points of a lead: skin need, engagement, budget, timing, 0 to 25 each.

A part without any input is left out, never zero; nothing here is learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bn_aura_pipelines.models.leads.fields import as_numbers, column_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PARTS = ("skinNeed", "engagement", "budget", "timing")
# What the points read besides the application's own parts, where metadata has them.
INPUTS = (
    *(f"metadata.scoring.{part}" for part in PARTS),
    "metadata.engagementData.pageViews",
    "metadata.analysisData.skinScan",
    "skin_score",
    "primary_concern",
    "estimated_value_thb",
    "messages",
    "questions",
    "price_inquiries",
    "urgency_signals",
    "budget_signals",
    "response_hours",
)
MOST = 25.0
FULL_VALUE_THB = 20_000.0


def four_parts(values: pd.DataFrame) -> Array:
    """Shape (n, 4), in the order of PARTS; NaN where a part has no input."""
    import numpy as np

    parts = np.column_stack([_skin_need(values), _engagement(values), _budget(values), _timing(values)])
    for place, part in enumerate(PARTS):
        given = _numbers(values, f"metadata.scoring.{part}")
        parts[:, place] = np.where(np.isnan(given), parts[:, place], given)
    return np.clip(parts, 0, MOST)


def total(values: pd.DataFrame) -> Array:
    """The points 0..100, shape (n,): the mean of the parts there are, 50 where there is none."""
    import numpy as np

    parts = four_parts(values)
    known = (~np.isnan(parts)).sum(axis=1)
    mean = np.nansum(parts, axis=1) / np.maximum(known, 1)
    return np.where(known > 0, mean * 4, 50.0)


def _skin_need(values: pd.DataFrame) -> Array:
    import numpy as np

    concern = _filled(values, "primary_concern")
    scan = _filled(values, "metadata.analysisData.skinScan") | ~np.isnan(_numbers(values, "skin_score"))
    return np.where(concern | scan, 12.0 * concern + 13.0 * scan, np.nan)


def _engagement(values: pd.DataFrame) -> Array:
    import numpy as np

    views, messages = _numbers(values, "metadata.engagementData.pageViews"), _numbers(values, "messages")
    points = 2.0 * np.nan_to_num(views) + 3.0 * np.nan_to_num(messages) + 2.0 * _zero(values, "questions")
    return np.where(np.isnan(views) & np.isnan(messages), np.nan, np.minimum(points, MOST))


def _budget(values: pd.DataFrame) -> Array:
    import numpy as np

    value = _numbers(values, "estimated_value_thb")
    spoken = _zero(values, "budget_signals") + _zero(values, "price_inquiries") > 0
    points = MOST * np.clip(np.nan_to_num(value) / FULL_VALUE_THB, 0, 1) + 5.0 * spoken
    return np.where(np.isnan(value) & ~spoken, np.nan, np.minimum(points, MOST))


def _timing(values: pd.DataFrame) -> Array:
    """Haste in what was said; else how soon contact was made."""
    import numpy as np

    hours = _numbers(values, "response_hours")
    hasty = _zero(values, "urgency_signals") > 0
    quick = np.where(hours <= 1, 15.0, np.where(hours <= 24, 10.0, np.where(hours < 72, 5.0, np.nan)))
    return np.where(hasty, MOST, quick)


def _numbers(values: pd.DataFrame, name: str) -> Array:
    import numpy as np

    return as_numbers(column_of(values, name)) if name in values else np.full(len(values), np.nan)


def _zero(values: pd.DataFrame, name: str) -> Array:
    import numpy as np

    return np.nan_to_num(_numbers(values, name))


def _filled(values: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    import numpy as np

    return values[name].notna().to_numpy() if name in values else np.zeros(len(values), bool)
