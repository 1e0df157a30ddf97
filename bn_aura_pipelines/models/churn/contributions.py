"""XGBoost's `pred_contribs` for many rows: the same numbers, a tenth of the time.

What a tree gives to a row depends only on which of its few comparisons the row passes. Rows that pass the same ones get
the same, so XGBoost is asked once for each such group of a tree.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import xgboost
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Below so many rows asking XGBoost outright is faster.
WORTH_IT = 2_000


def contributions(booster: xgboost.Booster, x: Array) -> Array:
    """Exact SHAP values of each row in log-odds: shape (n, features + 1), the last column what all rows share.

    `x` (n, features) without missing values; trees of at most 16 comparisons.
    """
    import numpy as np
    import xgboost

    names = booster.feature_names
    if len(x) < WORTH_IT:
        found = booster.predict(xgboost.DMatrix(x, feature_names=names), pred_contribs=True)
        return found.astype(float).reshape(len(x), x.shape[1] + 1)
    columns = np.ascontiguousarray(x.T, dtype=np.float32)
    total = np.zeros((x.shape[1] + 1, len(x)))
    content = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    base, rows = 0.0, np.arange(len(x))
    for number, tree in enumerate(content):
        passed, groups = _comparisons(tree, columns)
        example = np.zeros(groups, np.intp)
        example[passed] = rows
        present = np.flatnonzero(np.bincount(passed, minlength=groups))
        first = example[present]
        some = xgboost.DMatrix(x[first], feature_names=names, nthread=1)
        # Each answer holds the base score once more: it is counted for the first tree alone.
        one = booster[number : number + 1]
        one.set_param({"nthread": 1})  # for a few rows threads only wait for each other
        found = one.predict(some, pred_contribs=True).astype(float)
        found = found.reshape(len(first), x.shape[1] + 1)
        if number == 0:
            base = float(found[0, -1] - _mean(tree))
        for feature in np.flatnonzero(np.abs(found[:, :-1]).max(axis=0, initial=0)):
            by_group = np.zeros(groups)
            by_group[present] = found[:, feature]
            total[feature] += by_group[passed]
        total[-1] += found[0, -1] - base
    total[-1] += base
    return total.T


def _comparisons(tree: dict[str, list[float]], columns: NDArray[np.float32]) -> tuple[NDArray[np.uint16], int]:
    """Which of the tree's comparisons each row passes, one bit each, shape (n,); and how many groups there can be."""
    import numpy as np

    passed = np.zeros(columns.shape[1], np.uint16)
    nodes = [node for node, left in enumerate(tree["left_children"]) if left != -1]
    for bit, node in enumerate(nodes):
        below = columns[int(tree["split_indices"][node])] < np.float32(tree["split_conditions"][node])
        passed |= below.view(np.uint8) * np.uint16(1 << bit)
    return passed, 1 << len(nodes)


def _mean(tree: dict[str, list[float]]) -> float:
    """The mean of a tree's leaves over its training rows: what it gives to everybody."""
    weight, total = 0.0, 0.0
    for node, left in enumerate(tree["left_children"]):
        if left == -1:
            weight += tree["sum_hessian"][node]
            total += tree["sum_hessian"][node] * tree["split_conditions"][node]
    return total / weight if weight else 0.0
