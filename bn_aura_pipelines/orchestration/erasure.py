"""The right to be forgotten: a request in `data_deletion_requests` erases what the pipelines hold about a person.

Every owned table is searched and none is listed: rows go where a uuid names one of the person's records or a row about
one of them, or where any text holds an id, e-mail address or phone number of theirs. A table that is added tomorrow is
covered. From then on the source views hide these records (`aura_ops.erased_subjects`), so that no run brings them back
while the application still has them. Its own rows are the application's to delete; only the columns that we fill are
emptied. What is held about a record that comes later, under a new id, is about somebody who came again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.orchestration.erasing import (
    OwnedTable,
    bump_versions,
    erase_rows,
    ids_of_erased,
    owned_tables,
    with_rows_about,
)
from bn_aura_pipelines.sources.catalog import ActualColumn, read_columns
from bn_aura_pipelines.sources.contract import get_table
from bn_aura_pipelines.sources.relations import build_source_relations, source_query

REFUSED = ("rejected", "cancelled")
SHORTEST_NAME = 8
PHONE_DIGITS = 9
OUR_COLUMNS = {
    "customers": {"preference_embedding": "null"},
    "customer_conversations": {"message_embeddings": "null"},
    "sales_leads": {"profile_embedding": "null", "score": "0", "category": "null", "confidence": "null"},
}

# Where the delivery of triggers writes what the application shows its staff; such a row has its message's id.
OUR_ROWS = ("notifications", "workflow_tasks")

PENDING = """
    with requests as ({data_deletion_requests})

    select distinct coalesce(r.id::text, concat_ws(' ', r.user_id, r.request_type)), r.user_id, r.request_type
    from requests as r
    where r.user_id is not null and coalesce(r.status, 'pending') <> all(%(refused)s)
        and not exists (
            select from aura_ops.erasures as e
            where e.request = coalesce(r.id::text, concat_ws(' ', r.user_id, r.request_type))
        )
    order by 1
"""

# The account's own address is the person's everywhere; one that a clinic wrote down is so within that clinic only.
PERSON = """
    with users as ({users}),
    customers as ({customers}),
    leads as ({sales_leads}),
    conversations as ({customer_conversations}),
    visits as ({appointments}),

    account as (
        select nullif(lower(trim(u.email)), '') as email from users as u where u.id = %(user_id)s
    ),

    mine as (
        select c.id, c.clinic_id, c.full_name as name, nullif(lower(trim(c.email)), '') as email, c.phone
        from customers as c
        where c.user_id = %(user_id)s
            or (c.user_id is null and lower(trim(c.email)) = (select a.email from account as a))
    ),

    my_leads as (
        select l.id, l.name, nullif(lower(trim(l.email)), '') as email, l.phone
        from leads as l
        where l.customer_id in (select m.id from mine as m)
            or lower(trim(l.email)) = (select a.email from account as a)
            or exists (select from mine as m where m.clinic_id = l.clinic_id and m.email = lower(trim(l.email)))
    ),

    people as (
        select m.id, m.name, m.email, m.phone from mine as m
        union
        select l.id, l.name, l.email, l.phone from my_leads as l
    ),

    subjects as (
        select p.id from people as p
        union
        select v.id from visits as v where v.customer_id in (select m.id from mine as m)
        union
        select t.id from conversations as t
        where t.customer_id in (select m.id from mine as m)
            or t.metadata ->> 'lead_id' in (select l.id::text from my_leads as l)
    )

    select
        array(select s.id from subjects as s),
        array(select distinct p.email from people as p where p.email is not null),
        array(select distinct p.phone from people as p where p.phone is not null),
        array(select distinct lower(trim(p.name)) from people as p where p.name is not null)
"""
HIDE = """
    insert into aura_ops.erased_subjects (subject, erased_at)
    select uuid_hash_extended(unnest(%s::uuid[]), 0), clock_timestamp()
    on conflict do nothing
"""
RECORD = """
    insert into aura_ops.erasures (request, user_id, request_type, erased_at, subjects, rows_erased)
    values (%s, %s, %s, clock_timestamp(), %s, %s::jsonb)
"""


@dataclass(frozen=True)
class Request:
    """A request that was not carried out yet. `key` names it in the audit."""

    key: str
    user_id: UUID
    kind: str


@dataclass(frozen=True)
class Person:
    """The records of the person behind an account, and by what else a text could name them (regular expressions)."""

    ids: frozenset[UUID]
    words: frozenset[str]
    names: frozenset[str]


def pending_requests(connection: sqlalchemy.Connection) -> list[Request]:
    """Requests of any type and status but refused ones, even where the application has done its own part already."""
    query = _over_sources(read_columns(connection), PENDING, "data_deletion_requests")
    rows = psycopg_connection(connection).execute(query, {"refused": list(REFUSED)})
    return [Request(*row) for row in rows]


def hide(connection: sqlalchemy.Connection, request: Request) -> Person:
    """Find the person's records and let no source view show them from now on.

    To be committed before `erase`: whatever reads the sources afterwards no longer sees them.
    """
    build_source_relations(connection)  # after an upgrade those of the version before still stand
    driver = psycopg_connection(connection)
    tables = ("users", "customers", "sales_leads", "customer_conversations", "appointments")
    query = _over_sources(read_columns(connection), PERSON, *tables)
    ids, emails, phones, names = driver.execute(query, {"user_id": request.user_id}).fetchone() or ([], [], [], [])
    driver.execute(HIDE, (ids,))
    words = {re.escape(email) for email in emails} | {word for phone in phones for word in _phone(phone)}
    # A name of one word, or of two letters, is everybody's.
    full = {re.escape(name) for name in names if " " in name and len(name) >= SHORTEST_NAME}
    return Person(frozenset(ids), frozenset(words), frozenset(full))


def erase(
    connection: sqlalchemy.Connection, request: Request, person: Person, our_columns: bool = True
) -> Mapping[str, int]:
    """Erase what is held about a hidden person and note it in the audit; returns rows by table.

    Carried out again, after a kill or for a second request, it finds nothing more. `our_columns`: also empty what we
    fill in the application's own tables.
    """
    driver = psycopg_connection(connection)
    tables = owned_tables(driver)
    ids = with_rows_about(driver, tables, person.ids | ids_of_erased(driver, tables))
    rows = erase_rows(driver, tables, ids, person.words, person.names)
    bump_versions(driver, rows)
    if our_columns:
        rows |= _empty_our_columns(driver, read_columns(connection), person.ids)
    rows |= _delete_our_rows(driver, read_columns(connection), ids)
    driver.execute(RECORD, (request.key, request.user_id, request.kind, len(person.ids), json.dumps(rows)))
    return rows


def erase_leftovers(connection: sqlalchemy.Connection) -> Mapping[str, int]:
    """Erase rows about people who were erased before: what a run that was under way then, outside the queue, still
    wrote. Returns rows by table."""
    driver = psycopg_connection(connection)
    tables: Sequence[OwnedTable] = owned_tables(driver)
    ids = with_rows_about(driver, tables, ids_of_erased(driver, tables))
    rows = erase_rows(driver, tables, ids, (), ()) if ids else {}
    bump_versions(driver, rows)
    return rows


def _over_sources(actual: Mapping[str, Mapping[str, ActualColumn]], query: str, *tables: str) -> sql.Composed:
    """The query over the application's tables as the contract knows them, whatever this installation has."""
    text: Any = query
    return sql.SQL(text).format(
        **{name: source_query(get_table(name), actual.get(name), with_erased=True) for name in tables}
    )


def _phone(phone: str) -> list[str]:
    """One number in its spellings: 081-234-5678, 0812345678, +66 81 234 5678; nothing for what is too short for one."""
    digits = re.sub(r"\D", "", phone)
    if len(digits) < PHONE_DIGITS:
        return []
    return [r"(?:\+?66[\s()-]*)?0?[\s()-]*" + r"[\s()-]*".join(digits[-PHONE_DIGITS:])]


def _empty_our_columns(
    driver: psycopg.Connection[Any], actual: Mapping[str, Mapping[str, ActualColumn]], ids: Collection[UUID]
) -> dict[str, int]:
    emptied = {}
    for table, columns in OUR_COLUMNS.items():
        present = {name: value for name, value in columns.items() if name in actual.get(table, {})}
        if present:
            names = sql.SQL(", ").join(map(sql.Identifier, present))
            values: Any = ", ".join(present.values())
            count = driver.execute(
                sql.SQL(
                    "update {table} set ({names}) = row({values})"
                    " where id = any(%s) and exists (select {names} except select {values})"
                ).format(table=sql.Identifier("public", table), names=names, values=sql.SQL(values)),
                (list(ids),),
            ).rowcount
            emptied |= {f"public.{table}": count} if count else {}
    return emptied


def _delete_our_rows(
    driver: psycopg.Connection[Any], actual: Mapping[str, Mapping[str, ActualColumn]], ids: Collection[UUID]
) -> dict[str, int]:
    deleted = {}
    for table in OUR_ROWS:
        column = actual.get(table, {}).get("id")
        if column is not None and column.base_type == "uuid":
            statement = sql.SQL("delete from {} where id = any(%s)").format(sql.Identifier("public", table))
            count = driver.execute(statement, (list(ids),)).rowcount
            deleted |= {f"public.{table}": count} if count else {}
    return deleted
