"""The dashboard's cookies: their names, and how they are read and kept."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

CREDENTIAL, CLINIC, NAME, LANGUAGE, THEME = "bna_key", "bna_clinic", "bna_name", "bna_language", "bna_theme"
LONGEST_NAME = 40


def cookies_of(scope: Scope) -> dict[str, str]:
    """The request's cookies; none where they cannot be read."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                found |= {key: morsel.value for key, morsel in SimpleCookie(value.decode("latin-1")).items()}
            except CookieError:
                continue
    return found


def keep(request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
    """A cookie that no script and no other site's form gets hold of."""
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path=request.scope["root_path"],
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def forget(request: Request, answer: Response, *names: str) -> None:
    """Take cookies back."""
    for name in names:
        answer.delete_cookie(name, path=request.scope["root_path"])


def written(name: str) -> str:
    """A person's name as a cookie can hold it: what is not ASCII is escaped."""
    return name.strip()[:LONGEST_NAME].encode("unicode_escape").decode("ascii").replace(";", " ").replace(",", " ")


def name_of(request: Request) -> str:
    """How the person wants to be called before colleagues; empty where not said."""
    try:
        name = cookies_of(request.scope).get(NAME, "").encode("ascii").decode("unicode_escape")
    except UnicodeError:
        return ""
    return "".join(letter for letter in name if letter.isprintable())[:LONGEST_NAME]
