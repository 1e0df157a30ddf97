"""Long texts in pieces that a provider takes whole, and one vector made of the pieces' vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def split(text: str, tokens: Callable[[str], int], most: int | None) -> list[tuple[str, int]]:
    """The text in pieces of at most `most` tokens, each with its tokens, cut between lines where it can be.

    Nothing is left out.
    """
    count = tokens(text)
    if most is None or count <= most:
        return [(text, count)]
    pieces: list[str] = []
    current = ""
    for line in text.splitlines(keepends=True):
        if tokens(current + line) <= most:
            current += line
            continue
        if current:
            pieces.append(current)
        *whole, current = _cut(line, tokens, most)
        pieces += whole
    return [(piece, tokens(piece)) for piece in (*pieces, current) if piece.strip()]


def combine(lengths: Sequence[int], vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of the pieces' vectors, weighted by the pieces' lengths, scaled to length 1."""
    import numpy as np

    if len(vectors) == 1:
        return vectors[0]
    mean = np.average(np.stack(vectors), axis=0, weights=lengths)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def _cut(line: str, tokens: Callable[[str], int], most: int) -> list[str]:
    if tokens(line) <= most or len(line) < 2:
        return [line]
    middle = len(line) // 2
    space = line.rfind(" ", middle // 2, middle) + 1 or middle
    return [*_cut(line[:space], tokens, most), *_cut(line[space:], tokens, most)]
