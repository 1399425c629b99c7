"""What the collecting process asks for samples beside its targets, as the settings say."""

from __future__ import annotations

from functools import partial

from monitoring.ingest.founding_keys import FoundingKeys
from monitoring.ingest.gcp import CloudMonitoring
from monitoring.ingest.scrape import Feed
from monitoring.ingest.validation import Gate
from monitoring.store.connection import Connection
from web.opening import STORE_TIMEOUT_S
from web.settings import Settings

FOUNDING_S = 5.0
"""Servers that others write into Redis are read at least this often: it costs one round trip."""


def feeds(settings: Settings, connection: Connection, gate: Gate) -> list[Feed]:
    """The feeds, not yet asked; each is to be closed. Raises BadSetting."""
    found: list[Feed] = []
    if settings.founding_keys:
        other = settings.founding_redis_url
        source = Connection(other, STORE_TIMEOUT_S) if other else connection
        refused = partial(gate.count, "scrape", count=1)
        interval_s = min(FOUNDING_S, settings.scrape_interval)
        found.append(FoundingKeys(source, interval_s, refused=refused, owned=other is not None))
    if settings.gcp_project:
        found.append(CloudMonitoring(settings.gcp_project, settings.gcp_endpoint, settings.gcp_token_file))
    return found
