"""Whatever an application keeps about a lead, as columns of numbers: flattened metadata, types by what fields hold.

Which fields a model may see is decided in `guard`; nothing here knows outcomes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Columns of aura_features.lead_facts that were known at the moment by their making.
TIMED_NUMBERS = (
    "response_hours",
    "staff_load_30d",
    "messages",
    "replies",
    "questions",
    "price_inquiries",
    "urgency_signals",
    "budget_signals",
    "skin_score",
    "season_sin",
    "season_cos",
)
# Columns that the application may have written at any time.
STANDING = ("has_email", "has_phone", "source", "primary_concern", "estimated_value_thb", "notes")
COLUMNS = (*TIMED_NUMBERS, *STANDING)

NUMERIC_SHARE = 0.95
MOST_LEVELS = 20
LONGEST_TEXT = 80
MISSING, OTHER = "(missing)", "(other)"


@dataclass(frozen=True)
class Field:
    """How one field becomes columns. Numbers are clipped to what was seen, and filled with the mean; a text becomes one
    column a level, with rare levels as one and missing as its own."""

    name: str
    kind: Literal["numeric", "categorical"]
    low: float = 0.0
    high: float = 0.0
    fill: float = 0.0
    logarithmic: bool = False
    marks_missing: bool = False
    levels: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        if self.kind == "numeric":
            return [self.name, f"{self.name}={MISSING}"] if self.marks_missing else [self.name]
        return [f"{self.name}={level}" for level in self.levels]


def flatten(content: object) -> dict[str, float | str]:
    """The scalars below a JSON object, by dotted path; booleans are the texts true and false."""
    found: dict[str, float | str] = {}
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except ValueError:
            return found
    if isinstance(content, dict):
        _walk(content, "", found)
    return found


def _walk(content: dict[str, Any], path: str, found: dict[str, float | str]) -> None:
    for key, value in content.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            _walk(value, f"{name}.", found)
        elif isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, (int, float)):
            number = _number(value)
            if number is not None:
                found[name] = number
        elif isinstance(value, str) and value.strip():
            found[name] = value.strip()[:LONGEST_TEXT]


def _number(value: float | str) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_values(facts: pd.DataFrame, only: Collection[str] | None = None) -> pd.DataFrame:
    """Every field of lead facts (n rows), as numbers and texts, missing as NaN; with `only` no others are built."""
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {name: facts[name].to_numpy() for name in COLUMNS if only is None or name in only}
    wanted = None if only is None else frozenset(only)
    contents = facts["metadata"].tolist()
    columns.update(_read_quickly(contents, wanted) or _read_anything(contents, wanted))
    for name in wanted or ():
        if name not in columns:
            columns[name] = np.full(len(facts), np.nan, object)
    return pd.DataFrame(columns, index=facts.index)


def _read_anything(contents: list[Any], wanted: frozenset[str] | None) -> dict[str, Any]:
    """The fields of JSON objects, one by one."""
    import numpy as np

    places: dict[str, list[int]] = {}
    found: dict[str, list[float | str]] = {}
    for place, content in enumerate(contents):
        for key, value in flatten(content).items():
            name = f"metadata.{key}"
            if wanted is None or name in wanted:
                places.setdefault(name, []).append(place)
                found.setdefault(name, []).append(value)
    columns: dict[str, Any] = {}
    for name, values in found.items():
        column = np.full(len(contents), np.nan, object)
        column[places[name]] = values
        columns[name] = column
    return columns


def _read_quickly(contents: list[Any], wanted: frozenset[str] | None) -> dict[str, Any] | None:
    """The same through Arrow, ten times as fast; None where a field holds several kinds of things, or what Arrow would
    read as more than it is, such as a date."""
    import io

    import pyarrow as pa
    from pyarrow import json as arrow_json

    if not contents or not all(isinstance(content, str) and content.startswith("{") for content in contents):
        return None
    try:
        table = arrow_json.read_json(
            io.BytesIO("\n".join(contents).encode()), arrow_json.ReadOptions(block_size=1 << 24)
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    columns: dict[str, Any] = {}
    if table.num_rows != len(contents):
        return None
    whole = all(_add_leaves(f"metadata.{name}", table[name], wanted, columns) for name in table.column_names)
    return columns if whole else None


def _add_leaves(name: str, column: Any, wanted: frozenset[str] | None, columns: dict[str, Any]) -> bool:
    """Put the scalars at and below a column into `columns`; whether all of them were understood."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_struct(kind):
        return all(
            _add_leaves(
                f"{name}.{field.name}",
                pc.call_function("struct_field", [column], pc.StructFieldOptions([field.name])),
                wanted,
                columns,
            )
            for field in kind
        )
    if pa.types.is_null(kind) or pa.types.is_list(kind) or (wanted is not None and name not in wanted):
        return True
    if name in columns:  # {"a": {"b": 1}, "a.b": 2}
        return False
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        columns[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(float)
        return bool(np.isfinite(columns[name][column.is_valid().to_numpy(zero_copy_only=False)]).all())
    if pa.types.is_boolean(kind) or pa.types.is_string(kind):
        texts = [text.strip()[:LONGEST_TEXT] if text else "" for text in column.cast(pa.string()).to_pylist()]
        values = np.array(texts, object)
        values[values == ""] = np.nan
        columns[name] = values
        return True
    return False


def column_of(values: pd.DataFrame, name: str) -> pd.Series:
    """One column; the name occurs once."""
    return cast("pd.Series", values[name])


def as_numbers(column: pd.Series) -> Array:
    """The numbers of a column, NaN where there is none."""
    import numpy as np
    import pandas as pd

    numbers = np.array(pd.to_numeric(column, errors="coerce"), dtype=float)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def as_texts(column: pd.Series) -> NDArray[np.object_]:
    """The values of a column as texts, missing as its own level; 3.0 and 3 are the same."""
    import numpy as np

    filled = column.notna().to_numpy()
    texts = np.full(len(column), MISSING, object)
    texts[filled] = [f"{v:g}" if isinstance(v, float) else str(v)[:LONGEST_TEXT] for v in column[filled].tolist()]
    return texts


def learn_field(column: pd.Series) -> Field | None:
    """How this field is to be read, from what it holds; None when it cannot tell two leads apart."""
    import numpy as np

    name, rows = str(column.name), len(column)
    filled = int(column.notna().to_numpy().sum())
    if filled == 0:
        return None
    numbers = as_numbers(column)
    known = numbers[~np.isnan(numbers)]
    if len(known) >= NUMERIC_SHARE * filled:
        low, high = (float(v) for v in np.quantile(known, [0.005, 0.995]))
        missing_share = 1 - len(known) / rows
        marks = 0.005 < missing_share < 0.995
        if low == high and not marks:
            return None
        logarithmic = bool(low >= 0 and high > 20 and high > 5 * float(np.median(known)))
        clipped = np.clip(known, low, high)
        fill = float((np.log1p(clipped) if logarithmic else clipped).mean())
        return Field(name, "numeric", low, high, fill, logarithmic, marks)
    texts, counts = np.unique(as_texts(column).astype(str), return_counts=True)
    least = max(10, 0.005 * rows)
    ranked = sorted(zip(counts.tolist(), texts.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    levels = [text for count, text in ranked if count >= least and text != OTHER][:MOST_LEVELS]
    if len(levels) < rows and len(levels) + int(len(texts) > len(levels)) < 2:
        return None
    return Field(name, "categorical", levels=(*levels, OTHER) if len(texts) > len(levels) else tuple(levels))


def encode(values: pd.DataFrame, fields: Sequence[Field]) -> Array:
    """The columns of `fields`, side by side, shape (n, number of columns)."""
    import numpy as np

    width = sum(len(field.columns) for field in fields)
    matrix = np.zeros((len(values), width))
    place = 0
    for field in fields:
        if field.kind == "numeric":
            numbers = as_numbers(column_of(values, field.name))
            absent = np.isnan(numbers)
            numbers = np.clip(numbers, field.low, field.high)
            if field.logarithmic:
                numbers = np.log1p(numbers)
            matrix[:, place] = np.where(absent, field.fill, numbers)
            if field.marks_missing:
                matrix[:, place + 1] = absent
        else:
            texts = as_texts(column_of(values, field.name))
            known = {level: number for number, level in enumerate(field.levels)}
            other = known.get(OTHER, -1)
            codes = np.array([known.get(text, other) for text in texts.tolist()])
            rows = np.flatnonzero(codes >= 0)
            matrix[rows, place + codes[rows]] = 1
        place += len(field.columns)
    return matrix
