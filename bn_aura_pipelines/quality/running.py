"""Runs a suite inside PostgreSQL with Great Expectations. No value of any row leaves here, only counts and keys."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.quality.suites import Expectation, Suite

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch

MOST_KEYS = 20
SAMPLES = (
    "partial_unexpected_list",
    "partial_unexpected_counts",
    "partial_unexpected_index_list",
    "partial_missing_list",
    "unexpected_list",
    "unexpected_index_list",
    "unexpected_index_query",
)
"""What Great Expectations tells of single rows, values included."""


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation. `failing`: rows that fail it; `keys`: of up to twenty of them, as texts."""

    expectation: Expectation
    passed: bool
    failing: int
    keys: tuple[str, ...]
    error: str = ""
    """Why it could not be asked: the first line of the exception. Then `passed` is false."""


@dataclass(frozen=True)
class SuiteResult:
    """The outcomes of a suite; `report` is Great Expectations' own result without the values of any row."""

    suite: Suite
    outcomes: tuple[Outcome, ...]
    report: ExpectationSuiteValidationResult


def run_suite(database: Database, as_of: datetime, suite: Suite) -> SuiteResult:
    """Ask everything of a suite about one moment. Raises nothing for an expectation that fails or cannot be asked."""
    import great_expectations as gx
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import get_expectation_impl

    with _batch(database, as_of, suite.relation) as batch:
        asked = gx.ExpectationSuite(name=suite.relation)
        for one in suite.expectations:
            severity = FailureSeverity.CRITICAL if one.blocking else FailureSeverity.WARNING
            kind = get_expectation_impl(one.type)
            asked.add_expectation(kind(**one.arguments, severity=severity, notes=one.about, meta={"name": one.name}))
        report = batch.validate(
            asked,
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": MOST_KEYS,
                "unexpected_index_column_names": list(suite.key),
            },
        )
    by_name = {one.name: one for one in suite.expectations}
    found = [_outcome(database, as_of, suite, by_name[_name(result)], result) for result in report.results]
    for result in report.results:
        _strip(result)
    return SuiteResult(suite, tuple(found), report)


@contextmanager
def _batch(database: Database, as_of: datetime, relation: str) -> Iterator[Batch]:
    """The relation in an ephemeral context whose sessions have the run's moment and our zone."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    options = f"-c bn_aura.as_of={as_of.isoformat()} -c TimeZone=Asia/Bangkok"
    url = database.url.set(drivername="postgresql+psycopg2").update_query_dict({"options": options})
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_postgres(
        "database", connection_string=url.render_as_string(hide_password=False), create_temp_table=False
    )
    try:
        schema, table = relation.split(".")
        asset = source.add_table_asset(relation, table_name=table, schema_name=schema)
        yield asset.add_batch_definition_whole_table("whole").get_batch()
    finally:
        # It has two engines, one that looks and one that asks, and both keep connections.
        source.get_engine().dispose()
        source.get_execution_engine().close()


def _name(result: ExpectationValidationResult) -> str:
    configuration = result.expectation_config
    assert configuration is not None
    return configuration.meta["name"]


def _outcome(
    database: Database, as_of: datetime, suite: Suite, expectation: Expectation, result: ExpectationValidationResult
) -> Outcome:
    error = next(
        (
            str(one.get("exception_message", "")).strip().splitlines()[0][:200]
            for one in _exceptions(result.exception_info)
            if one.get("raised_exception")
        ),
        "",
    )
    found: dict[str, Any] = result.result or {}
    query = expectation.arguments.get("unexpected_rows_query")
    if query:  # it selects keys, which Great Expectations only tells together with every failing row
        failing = int(found.get("observed_value") or 0)
        rows = _keys(database, as_of, query.replace("{batch}", suite.relation)) if failing else []
    else:
        failing = int(found.get("unexpected_count") or 0)
        listed = found.get("partial_unexpected_index_list") or []
        rows = [" ".join(str(row[column]) for column in suite.key if column in row) for row in listed[:MOST_KEYS]]
    return Outcome(expectation, bool(result.success) and not error, failing, tuple(rows), error)


def _keys(database: Database, as_of: datetime, query: str) -> list[str]:
    with database.begin(as_of) as connection:
        rows = connection.exec_driver_sql(f"select * from ({query}) as failing limit {MOST_KEYS}")
        return [" ".join(map(str, row)) for row in rows]


def _exceptions(info: Any) -> list[dict[str, Any]]:
    """One exception, or one for each metric."""
    if not info:
        return []
    return [info] if "raised_exception" in info else list(info.values())


def _strip(result: ExpectationValidationResult) -> None:
    for name in SAMPLES:
        result.result.pop(name, None)
