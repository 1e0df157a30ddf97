"""Turns a template into a letter or a notice.

A template is one Jinja source a language: blocks `subject`, `html` and `text` for a letter, `title` and `message` for a
notice. A subject or title is fixed text: on a locked screen it would give away whatever stands in it. Where templates
are kept and when they are refused is here too; who gets what is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup
from sqlalchemy import text

from bn_aura_pipelines.errors import UserError

PACKAGED = Path(__file__).parent / "templates"
LANGUAGES = ("th", "en")
LETTER_BLOCKS = ("subject", "html", "text")
NOTICE_BLOCKS = ("title", "message")
LETTER_VARIABLES = frozenset({"customer_name", "clinic_name"})
NOTICE_VARIABLES = frozenset({"value"})

# Words that reveal health or a treatment. A subject never holds one, nor the name of a treatment of the catalogue.
REVEALS = re.compile(
    r"\b(?:botox|botulinum|filler|laser|hifu|ultherapy|thermage|facial|peel|drip|inject|acne|scar|melasma|pigment"
    r"|wrinkle|lifting|treatment|therapy|surgery|hair|skin|body|weight|slim|medic|health|doctor|clinic|diagnos)"
    r"|โบท็อก|ฟิลเลอร์|เลเซอร์|ไฮฟู|ฉีด|ดริป|วิตามินผิว|สิว|ฝ้า|ริ้วรอย|ยกกระชับ|ศัลยกรรม|รักษา|ทรีตเมนต์|ทรีทเมนท์|ผิว"
    r"|ผมร่วง|กำจัดขน|ลดน้ำหนัก|แพทย์|หมอ|สุขภาพ|คลินิก|โรค",
    re.IGNORECASE,
)

_escaping = ImmutableSandboxedEnvironment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
_plain = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined, trim_blocks=True)


class TemplateRefused(UserError):
    """A template cannot be used."""


@dataclass(frozen=True)
class Letter:
    """An e-mail as the recipient gets it."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Notice:
    """A notification or task as staff see it."""

    title: str
    message: str


def read_template(connection: sqlalchemy.Connection, name: str, language: str) -> str:
    """The source of a template, the installation's own before the packaged one. Raises TemplateRefused."""
    own = connection.execute(
        text("select source from aura_ops.trigger_templates where template = :name and language = :language"),
        {"name": name, "language": language},
    ).scalar()
    if own is not None:
        return own
    path = PACKAGED / f"{name}.{language}.jinja"
    if not path.is_file():
        raise TemplateRefused(
            f"There is no template {name} in language {language}: save one with `bn-aura rules save`."
        )
    return path.read_text("utf-8")


def check_template(name: str, source: str, is_letter: bool, treatments: frozenset[str] = frozenset()) -> None:
    """Raises TemplateRefused for what would fail or reveal something later. `treatments`: names in lower case."""
    blocks, known = (LETTER_BLOCKS, LETTER_VARIABLES) if is_letter else (NOTICE_BLOCKS, NOTICE_VARIABLES)
    try:
        compiled = _escaping.from_string(source)
        unknown = meta.find_undeclared_variables(_escaping.parse(source)) - known
    except TemplateError as error:
        raise TemplateRefused(f"template {name}: {error}") from error
    missing = [block for block in blocks if block not in compiled.blocks]
    if missing:
        raise TemplateRefused(f"template {name}: block {', '.join(missing)} is missing; it needs {', '.join(blocks)}.")
    if unknown:
        raise TemplateRefused(
            f"template {name}: unknown variable {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}."
        )
    example = dict.fromkeys(known, "x")
    for block in blocks:
        _block(compiled, block, example, name)
    if is_letter:
        subject = _block(compiled, "subject", example, name)
        if subject != _block(compiled, "subject", dict.fromkeys(known, "yy"), name):
            raise TemplateRefused(f"template {name}: the subject holds a variable; anybody near a phone reads it.")
        found = REVEALS.search(subject)
        revealing = found[0] if found else next((one for one in treatments if one in subject.lower()), None)
        if revealing:
            raise TemplateRefused(f"template {name}: {revealing!r} in the subject reveals a treatment or health.")


def render_letter(
    source: str, language: str, customer_name: str, clinic_name: str, unsubscribe_url: str | None
) -> Letter:
    """The letter with its layout. Raises TemplateRefused."""
    values = {"customer_name": customer_name, "clinic_name": clinic_name}
    plain = _plain.from_string(source)
    subject = _block(plain, "subject", values, "letter")
    frame = {
        "language": language,
        "clinic_name": clinic_name,
        "unsubscribe_url": unsubscribe_url,
        "subject": subject,
    }
    body = Markup(_block(_escaping.from_string(source), "html", values, "letter"))
    return Letter(
        subject=subject,
        html=_escaping.from_string(_layout("html")).render(frame | {"content": body}),
        text=_plain.from_string(_layout("txt")).render(frame | {"content": _block(plain, "text", values, "letter")}),
    )


def render_notice(source: str, value: float) -> Notice:
    """The notice; it names nobody. Raises TemplateRefused."""
    compiled = _plain.from_string(source)
    values = {"value": f"{value:.0f}"}
    return Notice(_block(compiled, "title", values, "notice"), _block(compiled, "message", values, "notice"))


def _layout(kind: str) -> str:
    return (PACKAGED / f"layout.{kind}.jinja").read_text("utf-8")


def _block(template: Template, block: str, values: Mapping[str, str], name: str) -> str:
    try:
        return "".join(template.blocks[block](template.new_context(dict(values)))).strip()
    except (TemplateError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise TemplateRefused(f"template {name}: block {block} cannot be rendered: {error}") from error
