"""Character 3-grams of texts: how they are made, how a query's are weighed, and which texts share them.

They need no word breaks, which Thai does not write, and no extension. Fusing them with vectors belongs to `search`.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID

import psycopg

if TYPE_CHECKING:
    import numpy as np

# BM25's usual constants (Robertson and Zaragoza 2009), every gram counted once.
K1, B = 1.2, 0.75
RAREST = 6
TELLING = 12
UNLISTED = 64
CANDIDATES = 300
UNLISTED_SHARE = 1e-4
INT4_OID = 23
ROLE = re.compile(r"^(?:customer|sales|ai_coach): ", re.MULTILINE)


def plain(text: str) -> str:
    """What is compared: lower case, single spaces, without the roles of a transcript."""
    return " ".join(ROLE.sub("", text).lower().split())


def grams(text: str, clinic_id: UUID | None = None) -> np.ndarray:
    """The distinct hashed 3-grams of a text as int32, in order; with a clinic, its own mark among them."""
    return _distinct(_letters(text), clinic_id)


def describe(text: str, clinic_id: UUID | None) -> tuple[str, bytes]:
    """The language of a text, and its grams as PostgreSQL takes them."""
    letters = _letters(text)
    return _language(letters), to_int4_array(_distinct(letters, clinic_id))


def _letters(text: str) -> np.ndarray:
    import numpy as np

    return np.frombuffer(f" {plain(text)} ".encode("utf-32-le"), np.uint32).astype(np.int64)


def _distinct(letters: np.ndarray, clinic_id: UUID | None) -> np.ndarray:
    import numpy as np

    count = max(len(letters) - 2, 0)
    hashed = np.empty(count + (clinic_id is not None), np.int32)
    mixed = (letters[:count] * 1_000_003 + letters[1 : count + 1] * 10_007 + letters[2:]) * 0x9E3779B1
    hashed[:count] = mixed >> 8
    if clinic_id is not None:
        hashed[count] = clinic_mark(clinic_id)
    hashed.sort()  # np.unique takes four times as long on texts of this length
    fresh = np.ones(len(hashed), bool)
    fresh[1:] = hashed[1:] != hashed[:-1]
    return hashed[fresh]


def clinic_mark(clinic_id: UUID) -> int:
    """A clinic as one more gram; two clinics may share one, so the clinic is compared as well."""
    return int.from_bytes(clinic_id.bytes[:4], "big", signed=True) ^ 0x5EED


def to_int4_array(values: np.ndarray) -> bytes:
    """A one-dimensional int4[] as PostgreSQL sends it."""
    import numpy as np

    elements = np.full((len(values), 2), 4, ">i4")
    elements[:, 1] = values
    return struct.pack(">5i", 1, 0, INT4_OID, len(values), 1) + elements.tobytes()


def from_int4_array(data: bytes) -> np.ndarray:
    """The inverse of `to_int4_array`."""
    import numpy as np

    return np.frombuffer(data, ">i4", offset=20)[1::2]


def language(text: str) -> str:
    """`th` or `en` where at least four fifths of the letters are that script's, else `mixed`."""
    return _language(_letters(text))


def _language(letters: np.ndarray) -> str:
    import numpy as np

    thai = np.count_nonzero((letters >= 0x0E00) & (letters < 0x0E80))
    latin = np.count_nonzero((letters >= ord("a")) & (letters <= ord("z")))
    if thai >= 4 * latin and thai:
        return "th"
    return "en" if latin >= 4 * thai else "mixed"


def weights(driver: psycopg.Connection[Any], query: str) -> dict[int, float]:
    """The query's grams with their inverse document frequencies, rarest first.

    Frequencies are those of the last `analyze`; a gram that it does not list is rarer than all that it does.
    """
    wanted = {int(gram) for gram in grams(query)}
    shares = dict(driver.execute(FREQUENCIES, {"grams": list(wanted)}).fetchall())
    found = {gram: math.log1p(1 / shares.get(gram, UNLISTED_SHARE)) for gram in wanted}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def scores(documents: Mapping[Any, np.ndarray], query: Mapping[int, float]) -> dict[Any, float]:
    """BM25 of each document's grams for the query's weights."""
    import numpy as np

    if not documents:
        return {}
    wanted = np.array(sorted(query), np.int32)
    values = np.array([query[int(gram)] for gram in wanted])
    average = sum(map(len, documents.values())) / len(documents)
    found = {}
    for key, own in documents.items():
        matched = values[np.isin(wanted, own)].sum()
        found[key] = float(matched * (K1 + 1) / (1 + K1 * (1 - B + B * len(own) / average)))
    return found


def overlap(text: str, query: Mapping[int, float]) -> float:
    """The weight of the query's grams that a piece of text holds."""
    return sum(query.get(int(gram), 0.0) for gram in grams(text))


def rarest(query: Mapping[int, float], count: int = RAREST) -> list[int]:
    """The grams that tell most; expects `weights`' order."""
    return list(query)[:count]


def telling(query: Mapping[int, float]) -> dict[int, float]:
    """The grams whose texts are counted: the rarest that are listed, and those that are not: some of these are in no
    text at all, and all are cheap to look up. Expects `weights`' order."""
    unlisted = math.log1p(1 / UNLISTED_SHARE)
    rare = [gram for gram, weight in query.items() if weight >= unlisted][:UNLISTED]
    listed = [gram for gram, weight in query.items() if weight < unlisted][:TELLING]
    return {gram: query[gram] for gram in rare + listed}


def best_line(lines: Iterable[str], query: Mapping[int, float]) -> str:
    """The line that shares most with the query, the first where none does."""
    return max(lines, key=lambda line: overlap(line, query), default="")


FREQUENCIES: LiteralString = """
select common.gram, common.share
from pg_stats as s
cross join lateral unnest(
    s.most_common_elems::text::int[], s.most_common_elem_freqs
) as common (gram, share)
where s.schemaname = 'aura_ops' and s.tablename = 'search_texts' and s.attname = 'grams'
    and common.gram = any(%(grams)s)
"""
