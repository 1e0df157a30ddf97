"""Database users for BI tools. Each logs in by itself and sees the marts of its clinics, whatever SQL it writes: the
policies ask `session_user`, which no statement of an ordinary user changes."""

from __future__ import annotations

import re
import secrets

import sqlalchemy
from psycopg import sql
from sqlalchemy import text

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.errors import UserError

NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
STATEMENT_TIMEOUT = "5min"


class BiUserRefused(UserError):
    """No such user can be made."""


def create_bi_user(connection: sqlalchemy.Connection, name: str, clinic_code: str) -> str:
    """Let the database user `name` see a clinic, besides those it sees already; returns its new password.

    The server is given the password's SCRAM verifier only. Raises BiUserRefused.
    """
    clinic = connection.execute(
        text("select id from public.clinics where clinic_code = :code"), {"code": clinic_code}
    ).scalar()
    if clinic is None:
        raise BiUserRefused(
            f"There is no clinic {clinic_code}: `bn-aura sql 'select clinic_code from clinics'` lists them."
        )
    if not NAME.match(name):
        raise BiUserRefused(f"{name!r} is no name for a user: write small letters, digits and _, a letter first.")
    driver = psycopg_connection(connection)
    user, password = sql.Identifier(name), secrets.token_urlsafe(24)
    known = driver.execute(
        "select rolsuper or rolbypassrls or rolcreaterole, array("
        " select g.rolname from pg_auth_members as m join pg_roles as g on g.oid = m.roleid where m.member = r.oid"
        ")::text[] from pg_roles as r where rolname = %s",
        (name,),
    ).fetchone()
    if known and (known[0] or known[1] != ["aura_bi"]):
        raise BiUserRefused(f"The role {name} exists and is not one of BI's alone: choose another name.")
    if not known:
        driver.execute(sql.SQL("create role {} login in role aura_bi").format(user))
    verifier = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    driver.execute(sql.SQL("alter role {} password {}").format(user, sql.Literal(verifier)))
    # Kindness to the application's database; a user may change both and still sees and writes nothing more.
    driver.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(user))
    driver.execute(sql.SQL("alter role {} set statement_timeout = {}").format(user, sql.Literal(STATEMENT_TIMEOUT)))
    driver.execute(
        "insert into aura_ops.bi_users (user_name, clinic_id) values (%s, %s) on conflict do nothing", (name, clinic)
    )
    return password


def remove_bi_user(connection: sqlalchemy.Connection, name: str) -> None:
    """Take its clinics and its login from a user that `create_bi_user` made. Raises BiUserRefused for any other."""
    driver = psycopg_connection(connection)
    if not driver.execute("delete from aura_ops.bi_users where user_name = %s", (name,)).rowcount:
        raise BiUserRefused(
            f"There is no user {name} of BI: `bn-aura sql 'select * from aura_ops.bi_users'` lists them."
        )
    driver.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
