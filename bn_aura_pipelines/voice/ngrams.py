"""Texts to hashed counts of character n-grams and of words, the same on every machine. Nothing is learnt here.

Characters are hashed in bulk with numpy (twenty times the speed of a loop over strings); words are newmm's.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

BUCKETS_BITS = 18  # of either kind: characters come first, words after them
BUCKETS = 2 << BUCKETS_BITS
LONGEST_GRAM = 5
# More says nothing new about how somebody feels; a conversation of a megabyte must not hold up the others.
MOST_CHARACTERS = 4_000

REPEATED = re.compile(r"(.)\1{2,}", re.DOTALL)
LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
SPACES = re.compile(r"\s+")
THAI_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙", "0123456789")


def normalise(text: str) -> str:
    """Lower case, single spaces, three or more of a character as two, links as one word, both ends of a long text."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS // 2]} {text[-MOST_CHARACTERS // 2 :]}"
    text = LINK.sub(" url ", text).lower().translate(THAI_DIGITS)
    return SPACES.sub(" ", REPEATED.sub(r"\1\1", text)).strip()


def count_grams(texts: Sequence[str]) -> csr_matrix:
    """(n, BUCKETS) with 1 + log(count) of each n-gram of 1 to 5 characters, each word and each pair of words."""
    import numpy as np
    from scipy.sparse import csr_matrix

    normal = [normalise(text) for text in texts]
    found = [*_character_keys(normal), *_word_keys(normal)]
    keys, counts = np.unique(np.concatenate(found), return_counts=True)
    rows = np.searchsorted(keys, np.arange(len(texts) + 1, dtype=np.int64) * BUCKETS)
    values = (1 + np.log(counts)).astype(np.float32)
    return csr_matrix((values, (keys % BUCKETS).astype(np.int32), rows), shape=(len(texts), BUCKETS))


def words(text: str) -> list[str]:
    """newmm's words of a normalised text, without spaces."""
    from pythainlp.tokenize import word_tokenize

    return word_tokenize(text, engine="newmm", keep_whitespace=False)


def _character_keys(texts: list[str]) -> list[NDArray[np.int64]]:
    import numpy as np

    padded = [f" {text} " for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    rows = np.repeat(np.arange(len(texts), dtype=np.int64), [len(text) for text in padded])
    hashes = np.zeros(len(codes), np.uint64)
    found = []
    for length in range(1, LONGEST_GRAM + 1):
        if len(codes) < length:
            break
        end = len(codes) - length + 1
        hashes = _mix(hashes[:end], codes[length - 1 :])
        whole = rows[:end] == rows[length - 1 :]
        found.append(rows[:end][whole] * BUCKETS + _bucket(hashes[whole]))
    return found


def _word_keys(texts: list[str]) -> list[NDArray[np.int64]]:
    import numpy as np

    tokens = [words(text) if text else [] for text in texts]
    flat = np.array([zlib.crc32(word.encode("utf-8", "replace")) for row in tokens for word in row], np.uint64)
    rows = np.repeat(np.arange(len(texts), dtype=np.int64), [len(row) for row in tokens])
    single = rows * BUCKETS + _bucket(_mix(np.full(len(flat), 77, np.uint64), flat)) + BUCKETS // 2
    together = rows[:-1] == rows[1:]
    pairs = _bucket(_mix(flat[:-1][together], flat[1:][together])) + BUCKETS // 2
    return [single, rows[:-1][together] * BUCKETS + pairs]


def _mix(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash from two, by the multiplier of splitmix64; overflow is meant."""
    import numpy as np

    mixed = (left ^ (right + np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(31))


def _bucket(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    import numpy as np

    return ((hashes * np.uint64(0x94D049BB133111EB)) >> np.uint64(64 - BUCKETS_BITS)).astype(np.int64)
