"""Targets by DNS: names asked again and again, the last good answer kept while a server does not give one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from monitoring.ingest.groups import DnsNames, Entry

log = logging.getLogger(__name__)

Resolve = Callable[[str, str], Awaitable[list[tuple[str, int | None]]]]
"""(name, record type) → (host or address, port of an SRV record); an empty list where the name has no such records.

Raises DNSException where no server gives an answer.
"""
LOOK_S = 1.0
LIFETIME_S = 10.0


def resolver(nameserver: str | None = None, port: int = 53) -> Resolve:
    """Asks `nameserver`, or those of the system."""
    asked = dns.asyncresolver.Resolver(configure=nameserver is None)
    if nameserver is not None:
        asked.nameservers, asked.port = [nameserver], port
    asked.lifetime = LIFETIME_S

    async def resolve(name: str, kind: str) -> list[tuple[str, int | None]]:
        try:
            answer = await asked.resolve(name, kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):  # an answer: there are none
            return []
        if kind == "SRV":
            return [(record.target.to_text(omit_final_dot=True), record.port) for record in answer]
        return [(record.address, None) for record in answer]

    return resolve


class Names:
    """What DNS says about the names of some groups, each on its own interval."""

    def __init__(self, resolve: Resolve | None = None) -> None:
        self.failures: Counter[str] = Counter()
        """Refreshes that failed, by name: the targets of the last good answer stayed."""
        self._resolve = resolve
        self._answers: dict[tuple[DnsNames, str], list[Entry]] = {}
        self._due: dict[DnsNames, float] = {}

    def found(self, query: DnsNames) -> list[Entry]:
        """The addresses of the last good answers."""
        return [entry for name in query.names for entry in self._answers.get((query, name), [])]

    async def run(self, wanted: Callable[[], Sequence[DnsNames]]) -> None:
        """Keeps the answers to the `wanted` queries fresh until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            now = clock()
            due = [query for query in dict.fromkeys(wanted()) if self._due.get(query, now) <= now]
            for query in due:
                self._due[query] = now + query.refresh_interval
            await self.refresh(due)
            await asyncio.sleep(LOOK_S)

    async def refresh(self, queries: Sequence[DnsNames]) -> None:
        """Asks for all names of `queries` at once."""
        await asyncio.gather(*(self._refresh(query, name) for query in queries for name in query.names))

    async def _refresh(self, query: DnsNames, name: str) -> None:
        if self._resolve is None:
            self._resolve = resolver()
        try:
            records = await self._resolve(name, query.type)
        except (dns.exception.DNSException, OSError) as error:
            self.failures[name] += 1
            kept = len(self._answers.get((query, name), []))
            log.warning("dns.failed name=%s type=%s kept=%d error=%s", name, query.type, kept, error)
            return
        entries = sorted((_entry(query, name, host, port) for host, port in records), key=lambda entry: entry[0])
        if self._answers.get((query, name)) != entries:
            self._answers[query, name] = entries
            log.info("dns.changed name=%s type=%s targets=%d", name, query.type, len(entries))


def _entry(query: DnsNames, name: str, host: str, port: int | None) -> Entry:
    """An address with Prometheus' `__meta_dns_…` labels."""
    labels = {"__meta_dns_name": name}
    if port is not None:
        labels |= {"__meta_dns_srv_record_target": f"{host}.", "__meta_dns_srv_record_port": str(port)}
    place = f"[{host}]" if ":" in host else host
    return f"{place}:{port or query.port}", labels
