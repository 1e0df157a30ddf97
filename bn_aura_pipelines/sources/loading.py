"""Takes the rows of one file from a temporary table of texts into its source table: sets in SQL, one transaction.

What cannot be loaded goes to `aura_ops.quarantine`. The rows come there in `staging`; what is wrong with a
single cell is written in `validating`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from bn_aura_pipelines.sources.reading import FileRejected
from bn_aura_pipelines.sources.staging import RAW, REJECTED
from bn_aura_pipelines.sources.upserting import write_differences
from bn_aura_pipelines.sources.validating import Target, problem, shown, value

TYPED = sql.Identifier("pg_temp", "import_typed")


@dataclass(frozen=True)
class Loaded:
    """What became of the rows of a file."""

    inserted: int
    updated: int
    unchanged: int
    quarantined: int


def load(driver: psycopg.Connection[Any], target: Target, file_name: str, rows_in: int) -> Loaded:
    """Validate the rows in `import_raw`, upsert the good ones and put the others into quarantine.

    Raises FileRejected if a row got lost on the way, as a trigger of the application's may bring about.
    """
    _reject_bad_cells(driver, target)
    _type(driver, target)
    _reject_orphans(driver, target)
    _drop_rejected(driver)
    for group in target.unique_in_file():
        _reject_duplicates(driver, group, nulls_agree=group == target.key)
        _drop_rejected(driver)
    for group in target.unique_in_file()[1:]:
        _reject_taken(driver, target, group)
        _drop_rejected(driver)
    written = write_differences(driver, target)
    quarantined = _quarantine(driver, target, file_name)
    loaded = Loaded(written.inserted, written.updated, written.unchanged, quarantined)
    accounted = loaded.inserted + loaded.updated + loaded.unchanged + loaded.quarantined
    if accounted != rows_in:
        raise FileRejected(
            f"was not loaded: {rows_in - accounted} of its {rows_in} rows were dropped by a trigger or rule of "
            f"public.{target.table.name}"
        )
    return loaded


def _reject_bad_cells(driver: psycopg.Connection[Any], target: Target) -> None:
    problems = sql.SQL(", ").join(problem(column, target.key) for column in target.columns)
    driver.execute(
        sql.SQL(
            """
            insert into {rejected}
            select judged.import_line, judged.reason
            from (
                select
                    r.import_line,
                    case
                        when r.import_reason is not null then r.import_reason
                        else concat_ws('; ', {problems})
                    end as reason
                from {raw} r
            ) judged
            where judged.reason <> ''
            on conflict do nothing
            """
        ).format(rejected=REJECTED, problems=problems, raw=RAW)
    )
    driver.execute(sql.SQL("analyze {}").format(REJECTED))


def _type(driver: psycopg.Connection[Any], target: Target) -> None:
    values = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(value(column), sql.Identifier(column.name)) for column in target.columns
    )
    driver.execute(
        sql.SQL(
            """
            create temporary table import_typed on commit drop as
            select r.import_line, {values} from {raw} r
            where not exists (select from {rejected} x where x.import_line = r.import_line)
            """
        ).format(values=values, raw=RAW, rejected=REJECTED)
    )
    driver.execute(sql.SQL("analyze {}").format(TYPED))


def _reject_orphans(driver: psycopg.Connection[Any], target: Target) -> None:
    for column in target.columns:
        parent = column.contract.references
        if parent is None:
            continue
        driver.execute(
            sql.SQL(
                """
                insert into {rejected}
                select f.import_line, {says} || f.{name}
                from {typed} f
                where f.{name} is not null and not exists (select from {parent} p where p.id = f.{name})
                on conflict (import_line) do update
                set reason = import_rejected.reason || '; ' || excluded.reason
                """
            ).format(
                rejected=REJECTED,
                says=sql.Literal(f"{column.name} is an orphan: {parent} has no row "),
                name=sql.Identifier(column.name),
                typed=TYPED,
                parent=sql.Identifier("public", parent),
            )
        )


def _reject_duplicates(driver: psycopg.Connection[Any], group: tuple[str, ...], nulls_agree: bool) -> None:
    names = _names("f", group)
    driver.execute(
        sql.SQL(
            """
            insert into {rejected}
            select d.import_line, {says} || d.first_line
            from (
                select f.import_line, min(f.import_line) over (partition by {names}) as first_line
                from {typed} f where {said}
            ) d
            where d.import_line <> d.first_line
            """
        ).format(
            rejected=REJECTED,
            says=sql.Literal(f"{', '.join(group)} is a duplicate: the same stands in line "),
            names=names,
            typed=TYPED,
            said=sql.SQL("true") if nulls_agree else sql.SQL("({}) is not null").format(names),
        )
    )


def _reject_taken(driver: psycopg.Connection[Any], target: Target, group: tuple[str, ...]) -> None:
    """Values that must be unique and belong to another row of the table, which this file does not change."""
    driver.execute(
        sql.SQL(
            """
            insert into {rejected}
            select f.import_line, {says} || {shown}
            from {typed} f
            join {table} p on {same_group}
            where not ({same_key}) and not exists (
                select from {typed} o where {o_same_key} and not ({o_same_group})
            )
            on conflict (import_line) do nothing
            """
        ).format(
            rejected=REJECTED,
            says=sql.Literal(f"{', '.join(group)} is a duplicate: another row of {target.table.name} has "),
            shown=shown(sql.SQL("concat_ws(', ', {})").format(_names("f", group))),
            typed=TYPED,
            table=target.identifier,
            same_group=_same("f", "p", group),
            same_key=_same("f", "p", target.key),
            o_same_key=_same("o", "p", target.key),
            o_same_group=_same("o", "p", group),
        )
    )


def _drop_rejected(driver: psycopg.Connection[Any]) -> None:
    driver.execute(sql.SQL("delete from {} f using {} x where x.import_line = f.import_line").format(TYPED, REJECTED))


def _quarantine(driver: psycopg.Connection[Any], target: Target, file_name: str) -> int:
    """Make the file's rows in quarantine those rejected now, writing only what differs; returns how many there are."""
    driver.execute(
        sql.SQL(
            """
            create temporary table import_quarantine on commit drop as
            select
                x.import_line,
                x.reason,
                coalesce(
                    r.import_text, (jsonb_strip_nulls(to_jsonb(r)) - 'import_line' - 'import_reason')::text
                ) as row_text
            from {rejected} x join {raw} r on r.import_line = x.import_line
            """
        ).format(rejected=REJECTED, raw=RAW)
    )
    names = (target.table.name, file_name)
    driver.execute(
        """
        delete from aura_ops.quarantine q
        where q.table_name = %s and q.file_name = %s and not exists (
            select from pg_temp.import_quarantine f
            where f.import_line = q.line_number and f.reason = q.reason and f.row_text = q.row_text
        )
        """,
        names,
    )
    driver.execute(
        """
        insert into aura_ops.quarantine (table_name, file_name, line_number, reason, row_text)
        select %s, %s, f.import_line, f.reason, f.row_text
        from pg_temp.import_quarantine f
        order by f.import_line
        on conflict (table_name, file_name, line_number) do nothing
        """,
        names,
    )
    row = driver.execute(
        "select count(*) from aura_ops.quarantine where table_name = %s and file_name = %s", names
    ).fetchone()
    return row[0] if row else 0


def _names(alias: str, names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)


def _same(left: str, right: str, names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in names
    )
