"""What a sender wrote, as the roads hand it on: samples, what it says about metrics, and what could not be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from monitoring.ingest.exposition import Metadata
from monitoring.model import Batch

MOST_FAMILIES = 20_000
MOST_TEXT = 1_000
"""Characters of a help text that are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """One request, read. `refused` counts samples of series whose labels cannot be used, `first` names one."""

    batch: Batch
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    histograms: int = 0
    """Native histogram samples, which are not kept."""
    exemplars: int = 0
    """Exemplars, which are not kept."""
    refused: int = 0
    first: str = ""


class MetadataBook:
    """What senders said about metric families, as of the last time each was mentioned."""

    def __init__(self) -> None:
        self._said: dict[str, Metadata] = {}

    def note(self, metadata: Mapping[str, Metadata]) -> None:
        """Remembers; beyond `MOST_FAMILIES` those that have not been mentioned for longest are forgotten."""
        for name, said in metadata.items():
            self._said.pop(name, None)
            self._said[name] = Metadata(said.type, said.help[:MOST_TEXT], said.unit[:MOST_TEXT])
        for name in list(self._said)[: max(0, len(self._said) - MOST_FAMILIES)]:
            del self._said[name]

    def __iter__(self) -> Iterator[tuple[str, Metadata]]:
        return iter(self._said.items())


def family(metric: str, kind: str) -> str:
    """The family that a series belongs to, by its name and the type that was given for it.

    >>> family("http_seconds_bucket", "histogram"), family("x_sum", "counter")
    ('http_seconds', 'x_sum')
    """
    if kind in ("histogram", "summary", "gaugehistogram"):
        for suffix in ("_bucket", "_count", "_sum", "_gcount", "_gsum"):
            if metric.endswith(suffix):
                return metric.removesuffix(suffix)
    return metric
