"""Fields of any kind become columns, whatever an application writes into them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bn_aura_pipelines.models.leads.fields import COLUMNS, encode, flatten, learn_field, read_values


def facts(contents: list[object]) -> pd.DataFrame:
    frame = pd.DataFrame({name: np.full(len(contents), np.nan) for name in COLUMNS})
    frame["metadata"] = [json.dumps(content) for content in contents]
    return frame


def test_scalars_are_found_at_any_depth_and_lists_are_left_alone() -> None:
    content = {"a": {"b.c": 1, "d": True, "e": [1, 2], "f": None, "g": " x "}, "h": float("inf")}
    assert flatten(json.dumps(content)) == {"a.b.c": 1.0, "a.d": "true", "a.g": "x"}
    assert flatten("no json") == {} and flatten(None) == {} and flatten("[1]") == {}


@pytest.mark.parametrize(
    "contents",
    [
        [{"a": 1, "b": {"c": "x"}}, {"a": 2.5}, {}, {"b": {"c": " y ", "d": False}, "e": None}],
        [{"a": 1}, {"a": "text"}],
        [{"a": "2024-01-01"}, {"a": "2024-01-02 10:00:00"}],
        [{"a": {"b": 1}, "a.b": 2}],
        [{"a": 10**30}, {"a": 1}],
        [{"a": []}, {"a": [{"b": 1}]}],
        [{}],
    ],
)
def test_the_quick_way_reads_what_the_slow_way_reads(contents: list[object]) -> None:
    slow = [{f"metadata.{key}": value for key, value in flatten(json.dumps(content)).items()} for content in contents]
    values = read_values(facts(contents)).drop(columns=list(COLUMNS))
    quick = [{str(k): v for k, v in row.items() if v == v} for row in values.to_dict("records")]
    assert quick == slow


def test_a_field_that_is_a_number_today_and_text_tomorrow_breaks_no_model() -> None:
    today = pd.Series([1.0, 2.0, 3.0, 4.0] * 10, name="metadata.x")
    field = learn_field(today)
    assert field and field.kind == "numeric"
    tomorrow = pd.DataFrame({"metadata.x": np.array(["soon", 2.0, np.nan, "3"], object)})
    assert encode(tomorrow, [field]).shape == (4, 1)
    assert encode(tomorrow, [field])[:, 0].tolist() == [2.5, 2.0, 2.5, 3.0]


def test_rare_levels_are_one_and_missing_is_a_level_of_its_own() -> None:
    column = pd.Series(["a"] * 50 + ["b"] * 30 + [np.nan] * 20 + ["rare", "rarer"], name="metadata.y", dtype=object)
    field = learn_field(column)
    assert field and field.levels == ("a", "b", "(missing)", "(other)")
    seen = encode(pd.DataFrame({"metadata.y": np.array(["b", "never seen", np.nan, 7.0], object)}), [field])
    assert seen.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]]
