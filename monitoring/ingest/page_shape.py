"""The shape of a page: all of its text but the values. A page that has it again is read by its values alone."""

from __future__ import annotations

from itertools import compress, repeat

import numpy as np
from numpy.typing import NDArray


class Shape:
    """What stands before the last space of each line, and the whole of each comment.

    >>> shape = Shape.of(b"# TYPE a gauge\\na 1\\nb 2\\n")
    >>> shape.values(b"# TYPE a gauge\\na 5\\nb 6.5\\n").tolist(), shape.values(b"a 5\\nb 6\\n")
    ([5.0, 6.5], None)
    """

    def __init__(self, heads: tuple[bytes, ...], tails: tuple[bytes, ...]) -> None:
        self._heads = heads
        self._samples = [head != b"" and head[:1] != b"#" for head in heads]
        self._others = [not sample for sample in self._samples]
        self._comments = list(compress(tails, self._others))

    @classmethod
    def of(cls, body: bytes) -> Shape | None:
        """The shape of a page whose lines are all `series value`; None where a line ends otherwise."""
        shape = cls(*_cut(body))
        return None if shape.values(body) is None else shape

    def values(self, body: bytes) -> NDArray[np.float64] | None:
        """The values of a page of this shape in order; None where it has another."""
        heads, tails = _cut(body)
        if heads != self._heads or list(compress(tails, self._others)) != self._comments:
            return None
        numbers = list(compress(tails, self._samples))
        if b"_" in b"".join(numbers):  # Python reads 1_000 as a number, Prometheus does not
            return None
        try:
            return np.array(list(map(float, numbers)), dtype=np.float64)
        except ValueError:
            return None


def _cut(body: bytes) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Each line's text before its last space, and after it."""
    heads, _, tails = zip(*map(bytes.rpartition, body.split(b"\n"), repeat(b" ")), strict=True)
    return heads, tails
