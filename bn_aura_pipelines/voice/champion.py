"""Which sentiment model serves at the run's moment. It is trained and promoted in `models.sentiment`, a floor above:
what is shared is the registry's table."""

from __future__ import annotations

import hashlib
from typing import LiteralString

import sqlalchemy

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.voice.analysis import Analyst
from bn_aura_pipelines.voice.model import FEATURES, SentimentModel

MODEL = "sentiment"


class SentimentModelUnusable(UserError):
    """The stored model is damaged."""


def analyst(connection: sqlalchemy.Connection) -> Analyst:
    """The champion, or for a run about the past the newest version promoted by then; without one the lexicon.

    A version that was made for other features cannot be read any more: it counts as none.
    """
    values = {"model": MODEL, "features": list(FEATURES)}
    row = psycopg_connection(connection).execute(CHAMPION, values).fetchone()
    if row is None:
        return Analyst(None, 0)
    version, artifact, checksum = row
    if hashlib.sha256(artifact).hexdigest() != checksum:
        raise SentimentModelUnusable(
            f"Version {version} of the sentiment model is damaged: "
            "train again with `bn-aura run --select sentiment_model+`."
        )
    return Analyst(SentimentModel.from_bytes(artifact), version)


CHAMPION: LiteralString = """
select version, artifact, artifact_sha256
from aura_models.registry
where
    model = %(model)s and (promoted or alias = 'champion') and features = %(features)s
    and coalesce(window_end, '-infinity') <= aura_ops.as_of()
order by (alias is not distinct from 'champion') desc, version desc
limit 1
"""
