"""What an outbox brings to the store of samples that cannot be true."""

from __future__ import annotations

from monitoring.errors import StoreUnavailable
from monitoring.ingest.outbox import Outbox
from monitoring.ingest.validation import Gate
from monitoring.model import Batch
from monitoring.store.redis import SampleStore

NOW = 1_760_000_000.0
CPU = {"__name__": "server_cpu_usage", "server_id": "a-01"}
LOAD = {"__name__": "load", "server_id": "a-01"}


async def test_a_scraped_sample_that_cannot_be_true_is_left_out_and_counted_once_through_an_outage(
    store: SampleStore,
) -> None:
    away = True

    async def append(batch: Batch) -> int:
        if away:
            raise StoreUnavailable("closed", "the store is away")
        return await store.append(batch)

    gate = Gate(append, lambda: NOW, 86_400.0)
    outbox = Outbox(gate.outlet("scrape"))
    outbox.put(Batch.at(NOW, [(CPU, 140.0), (LOAD, 140.0)]))
    outbox.put(Batch.at(NOW + 3_600, [(LOAD, 1.0)]))
    assert not await outbox.flush()
    assert gate.refused == {}
    away = False
    assert await outbox.flush()
    assert gate.refused == {("scrape", "out_of_range"): 1, ("scrape", "clock_skew"): 1}
    assert await store.labels() == [LOAD]
    assert store.samples_appended == 1
