"""The series of a selection out of the blocks that hold them: places found for all at once, samples copied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from monitoring.columns import Columns, Floats, Ints, edges, upto
from monitoring.model import Labels, Series
from monitoring.store import segments
from monitoring.store.hours import Hour, Part
from monitoring.store.segments import Block, Ids
from monitoring.store.series_index import Groups

_FEW = 4
"""Series that are looked up one by one: what is computed for all at once costs as much for one as for fifty."""
_LONG = 48
"""Samples of one series in one block from which on they are copied as slices (below: by an index a sample)."""


class Asked(NamedTuple):
    """Series by ascending id, their groups, and the time: start < t ≤ end."""

    ids: Ids
    own: Ids
    """The group of each series."""
    groups: Groups
    start_ms: int
    end_ms: int


class Piece(NamedTuple):
    """What one block has of some of the series: series `rows[k]` owns `block[first[k]:after[k]]`; none is empty."""

    block: Block
    rows: Ints
    first: Ints
    after: Ints


def gathered(hours: Sequence[Hour], asked: Asked, labels: Mapping[int, Labels]) -> Columns | None:
    """The series that have samples, in the order of their ids; None where none has. `hours` are in order of time."""
    if len(asked.ids) <= _FEW and (found := _few(hours, asked, labels)) is not None:
        return found if len(found) else None
    pieces = [piece for hour in hours for piece in _of_hour(hour, asked)]
    if not pieces:
        return None
    counts = np.zeros((len(pieces), len(asked.ids)), np.int64)
    for piece, row in zip(pieces, counts, strict=True):
        row[piece.rows] = piece.after - piece.first
    total = counts.sum(axis=0)
    starts = edges(total)
    places = np.cumsum(counts, axis=0) - counts + starts[:-1]  # where each series of each piece goes
    times, values = np.empty(starts[-1], np.int64), np.empty(starts[-1])
    for piece, row in zip(pieces, places, strict=True):
        _copy(piece, row[piece.rows], times, values)
    return _named(asked.ids, labels, times, values, starts)


def _few(hours: Sequence[Hour], asked: Asked, labels: Mapping[int, Labels]) -> Columns | None:
    """The same for a few series; None where one overlaps in two blocks."""
    parts = [part for hour in hours for part in hour.reaching(asked.groups, asked.start_ms, asked.end_ms)]
    found = []
    for series_id, group in zip(asked.ids.tolist(), asked.own.tolist(), strict=True):
        times, values, newest = [], [], -(1 << 62)
        for part in parts:
            if part.group is not None and part.group != group:
                continue
            inside = part.block.of(series_id, asked.start_ms, asked.end_ms)
            if inside.start < inside.stop:
                here = part.block.times_ms[inside]
                if here[0] <= newest:
                    return None
                newest = here[-1]
                times.append(here)
                values.append(part.block.values[inside])
        if times and (own := labels.get(series_id)) is not None:
            found.append(Series(own, np.concatenate(times), np.concatenate(values)))
    return Columns.of(found)


def _of_hour(hour: Hour, asked: Asked) -> list[Piece]:
    """The samples of one hour; blocks are merged only where one and the same series overlaps in two of them."""
    parts = hour.reaching(asked.groups, asked.start_ms, asked.end_ms)
    pieces = [piece for part in parts if (piece := _piece(part, asked)) is not None]
    newest = np.full(len(asked.ids), -(1 << 62))
    for piece in pieces:
        times = piece.block.times_ms
        if (times[piece.first] <= newest[piece.rows]).any():
            merged = segments.merge([part.block.between(asked.start_ms, asked.end_ms) for part in parts])
            whole = _piece(Part(None, merged), asked)
            return [] if whole is None else [whole]
        newest[piece.rows] = times[piece.after - 1]
    return pieces


def _piece(part: Part, asked: Asked) -> Piece | None:
    block = part.block
    rows = np.arange(len(asked.ids)) if part.group is None else np.flatnonzero(asked.own == part.group)
    series, starts = block.series()
    if not len(series):
        return None
    place = series.searchsorted(asked.ids[rows])
    here = series[np.minimum(place, len(series) - 1)] == asked.ids[rows]
    if not here.all():
        rows, place = rows[here], place[here]
    first, after = starts[place], starts[place + 1]
    if len(rows) and not (asked.start_ms < block.oldest_ms() and block.newest_ms() <= asked.end_ms):
        bounds = np.array([asked.start_ms, asked.end_ms])
        first, after = upto(block.times_ms, first, after, bounds).T
        if not (filled := first < after).all():
            rows, first, after = rows[filled], first[filled], after[filled]
    return Piece(block, rows, first, after) if len(rows) else None


def _copy(piece: Piece, places: Ints, times: Ints, values: Floats) -> None:
    """Bring the samples of a piece to where each series goes."""
    block, first, counts = piece.block, piece.first, piece.after - piece.first
    if counts.sum() >= _LONG * len(counts):
        spans = zip(places.tolist(), first.tolist(), counts.tolist(), strict=True)
        for place, start, count in spans:
            times[place : place + count] = block.times_ms[start : start + count]
            values[place : place + count] = block.values[start : start + count]
        return
    inside = np.arange(counts.sum()) - np.repeat(edges(counts)[:-1], counts)
    source, target = np.repeat(first, counts) + inside, np.repeat(places, counts) + inside
    times[target] = block.times_ms[source]
    values[target] = block.values[source]


def _named(ids: Ids, labels: Mapping[int, Labels], times: Ints, values: Floats, starts: Ints) -> Columns:
    """The series with their labels, without those that have no samples or left while this ran in a thread."""
    names = [labels.get(series_id) for series_id in ids.tolist()]
    if (np.diff(starts) > 0).all() and None not in names:
        return Columns([one for one in names if one is not None], times, values, starts)
    kept = [k for k, one in enumerate(names) if one is not None and starts[k] < starts[k + 1]]
    rows = np.array(kept, np.int64)
    counts = np.diff(starts)[rows]
    inside = np.arange(counts.sum()) - np.repeat(edges(counts)[:-1], counts)
    source = np.repeat(starts[rows], counts) + inside
    found = [one for k in kept if (one := names[k]) is not None]
    return Columns(found, times[source], values[source], edges(counts))
