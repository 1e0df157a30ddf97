"""Character 3-grams of texts: how they are made, how a query's are weighed, and what of a text shares most with it.

They need no word breaks, which Thai does not write, and no extension beside pgvector: a text is a sparse vector of
ones, a query one of weights. Comparing them belongs to `legs`.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

if TYPE_CHECKING:
    import numpy as np

PLACES = 1 << 29
"""Grams are hashed to so many places, the dimensions of the vectors."""
MOST_PLACES = 16_000
"""More a sparsevec does not hold. Of a text with more distinct grams, so many by hash, which is as good as by lot."""
UNLISTED_SHARE = 1e-4
SAMPLE = 3_000
FEWEST = 2
ROLE = re.compile(r"^(?:customer|sales|ai_coach): ", re.MULTILINE)


def plain(text: str) -> str:
    """What is compared: lower case, single spaces, without the roles of a transcript."""
    return " ".join(ROLE.sub("", text).lower().split())


def grams(text: str) -> np.ndarray:
    """The distinct hashed 3-grams of a text, in order."""
    letters, ends = _letters([text])
    return _distinct(letters, ends)[0]


def describe(texts: Sequence[str]) -> list[tuple[str, bytes]]:
    """The language of each text, and its grams as PostgreSQL takes them. All at once: six times as fast."""
    if not texts:
        return []
    letters, ends = _letters(texts)
    vectors = [to_sparsevec(found) for found in _distinct(letters, ends)]
    return list(zip(_languages(letters, ends), vectors, strict=True))


def language(text: str) -> str:
    """`th` or `en` where at least four fifths of the letters are that script's, else `mixed`."""
    return _languages(*_letters([text]))[0]


def to_sparsevec(places: np.ndarray, values: np.ndarray | None = None) -> bytes:
    """A vector as pgvector sends it: dimensions, how many are not zero, zero, these, their values (by default 1)."""
    import numpy as np

    numbers = np.ones(len(places), ">f4") if values is None else values.astype(">f4")
    return struct.pack(">3i", PLACES, len(places), 0) + places.astype(">i4").tobytes() + numbers.tobytes()


def from_sparsevec(data: bytes) -> np.ndarray:
    """The places of a vector that are not zero."""
    import numpy as np

    return np.frombuffer(data, ">i4", struct.unpack_from(">i", data, 4)[0], 12)


def weights(driver: psycopg.Connection[Any], query: str) -> dict[int, float]:
    """The query's grams with their inverse document frequencies; one that is not listed is rarer than all that are."""
    wanted = grams(query).tolist()
    listed = driver.execute("select gram, share from aura_ops.search_grams where gram = any(%s)", (wanted,))
    shares = dict(listed.fetchall())
    return {gram: math.log1p(1 / shares.get(gram, UNLISTED_SHARE)) for gram in wanted}


def as_query(query: Mapping[int, float]) -> bytes:
    """Weights as a vector. Expects `weights`' order."""
    import numpy as np

    return to_sparsevec(np.fromiter(query, np.int64)[:MOST_PLACES], np.fromiter(query.values(), float)[:MOST_PLACES])


def most_alike(groups: Sequence[Sequence[str]], query: Mapping[int, float]) -> list[str]:
    """Of each group of texts, none empty, the one that holds most of the query's grams by their weights; the first of
    several. All at once, as `describe`. Expects `weights`' order."""
    import numpy as np

    texts = [text for group in groups for text in group]
    if not texts or not query:
        return [group[0] for group in groups]
    letters, ends = _letters(texts)
    wanted, values = np.fromiter(query, np.int64), np.fromiter(query.values(), float)
    hashed = _hashed(letters)
    starts = np.arange(len(hashed))
    text = np.searchsorted(ends, starts, side="right")
    place = np.searchsorted(wanted, hashed).clip(max=len(wanted) - 1)
    shared = (wanted[place] == hashed) & (starts < ends[text] - 2)
    held = np.zeros((len(texts), len(wanted)), bool)
    held[text[shared], place[shared]] = True
    sums = iter((held @ values).round(6).tolist())
    best = []
    for group in groups:
        own = list(islice(sums, len(group)))
        best.append(group[own.index(max(own))])
    return best


def count_grams(driver: psycopg.Connection[Any]) -> None:
    """Count anew, in a sample of all texts, how many hold each gram."""
    import numpy as np

    driver.execute("lock table aura_ops.search_grams in share row exclusive mode")
    texts = [from_sparsevec(row[0]) for row in driver.cursor(binary=True).execute(SAMPLED, {"sample": SAMPLE})]
    driver.execute("delete from aura_ops.search_grams")
    if not texts:
        return
    found, counts = np.unique(np.concatenate(texts), return_counts=True)
    several = counts >= FEWEST
    shares = (counts[several] / len(texts)).tolist()
    with driver.cursor().copy("copy aura_ops.search_grams from stdin (format binary)") as copy:
        copy.set_types(["int4", "float4"])
        for row in zip(found[several].tolist(), shares, strict=True):
            copy.write_row(row)


def _letters(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The code points of all texts in a row, and where each text ends."""
    import numpy as np

    spaced = [f" {plain(text)} " for text in texts]
    points = np.frombuffer("".join(spaced).encode("utf-32-le"), np.uint32).astype(np.int64)
    return points, np.cumsum([len(text) for text in spaced])


def _hashed(letters: np.ndarray) -> np.ndarray:
    """The gram that begins at each letter but the last two."""
    import numpy as np

    mixed = (letters[:-2] * 1_000_003 + letters[1:-1] * 10_007 + letters[2:]) * 0x9E3779B1
    return (mixed >> 8 & PLACES - 1).astype(np.int32)


def _distinct(letters: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """The grams of each text, sorted, each once. No gram reaches from a text into the next one."""
    import numpy as np

    starts = np.concatenate(([0], ends[:-1]))
    hashed = _hashed(letters)
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        own = np.sort(hashed[start : max(end - 2, start)])
        fresh = np.ones(len(own), bool)
        fresh[1:] = own[1:] != own[:-1]
        found.append(own[fresh][:MOST_PLACES])
    return found


def _languages(letters: np.ndarray, ends: np.ndarray) -> list[str]:
    import numpy as np

    starts = np.concatenate(([0], ends[:-1]))
    thai = np.add.reduceat((letters >= 0x0E00) & (letters < 0x0E80), starts, dtype=np.int64).tolist()
    latin = np.add.reduceat((letters >= ord("a")) & (letters <= ord("z")), starts, dtype=np.int64).tolist()
    return [
        "th" if some >= 4 * others and some else "en" if others >= 4 * some else "mixed"
        for some, others in zip(thai, latin, strict=True)
    ]


# Whole pages at random, as `analyze` takes them.
SAMPLED: LiteralString = """
select grams
from aura_ops.search_texts
tablesample system (
    least(100, 100.0 * %(sample)s / greatest(1, (select count(*) from aura_ops.search_texts)))
) repeatable (1)
"""
