"""What a table of the source contract is made of. The tables themselves: `required_tables` and `optional_tables`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal[
    "uuid", "text", "int", "numeric", "bool", "timestamptz", "date", "time", "jsonb", "text[]", "vector"
]
JsonShape = Literal["array", "object"]


@dataclass(frozen=True)
class Column:
    """One column. Null stands for "not said" in `shape`, `references`, `minimum` and `maximum`."""

    name: str
    type: ColumnType
    nullable: bool = False
    default: bool = False
    """Whether the table fills it in where an export says nothing."""
    optional: bool = False
    """Whether only some installations have it."""
    generated: bool = False
    """Whether the database computes it."""
    allowed: tuple[str, ...] = ()
    references: str | None = None
    """The contract table whose `id` it holds."""
    shape: JsonShape | None = None
    minimum: int | None = None
    maximum: int | None = None

    @property
    def exposed(self) -> bool:
        """Whether `aura_staging.source_*` shows it: embeddings are read from `aura_ops.embeddings` instead."""
        return self.type != "vector"

    @property
    def needed_in_a_file(self) -> bool:
        """Whether an export without it cannot be loaded."""
        return not (self.nullable or self.default or self.optional or self.generated)


@dataclass(frozen=True)
class SourceTable:
    """One table of schema `public`."""

    name: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...] = (("id",),)
    """What tells two rows apart; an upsert uses the first whose columns the file and the table have."""
    unique: tuple[tuple[str, ...], ...] = ()
    """Further columns in which no two rows may agree."""
    required: bool = True

    @property
    def exposed_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.exposed)

    @property
    def references(self) -> frozenset[str]:
        """The tables that must be loaded before this one."""
        return frozenset(column.references for column in self.columns if column.references)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


ID = Column("id", "uuid")
OPTIONAL_ID = Column("id", "uuid", default=True, optional=True)
CLINIC_ID = Column("clinic_id", "uuid", references="clinics")
NULLABLE_CLINIC_ID = Column("clinic_id", "uuid", nullable=True, references="clinics")
CUSTOMER_ID = Column("customer_id", "uuid", references="customers")
NULLABLE_CUSTOMER_ID = Column("customer_id", "uuid", nullable=True, references="customers")
USER_ID = Column("user_id", "uuid", references="users")
CREATED_AT = Column("created_at", "timestamptz")
UPDATED_AT = Column("updated_at", "timestamptz", default=True)
IS_ACTIVE = Column("is_active", "bool", default=True)
METADATA = Column("metadata", "jsonb", default=True, shape="object")


def nullable_text(name: str) -> Column:
    return Column(name, "text", nullable=True)


def nullable_user(name: str) -> Column:
    return Column(name, "uuid", nullable=True, references="users")
