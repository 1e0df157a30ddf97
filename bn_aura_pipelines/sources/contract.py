"""The source contract: the application's tables as the pipelines know them, as typed definitions.

What a database really holds is compared in `check`; nothing here asks one. Marts and features of ours are no sources.
"""

from __future__ import annotations

from bn_aura_pipelines.sources.contract_types import Column, ColumnType, JsonShape, SourceTable
from bn_aura_pipelines.sources.optional_tables import OPTIONAL_TABLES
from bn_aura_pipelines.sources.required_tables import REQUIRED_TABLES

__all__ = ["TABLES", "Column", "ColumnType", "JsonShape", "SourceTable", "find_table", "get_table"]

TABLES: tuple[SourceTable, ...] = REQUIRED_TABLES + OPTIONAL_TABLES
"""Every table, parents before children: the order of an import."""

_BY_NAME = {table.name: table for table in TABLES}


def get_table(name: str) -> SourceTable:
    """The contract's table of that name. Raises KeyError."""
    return _BY_NAME[name]


def find_table(name: str) -> SourceTable | None:
    """The contract's table of that name, null if the contract has none."""
    return _BY_NAME.get(name)
