/** All servers as last heard: read whole by SWR, kept fresh by live changes, and never dropped when a request fails. */
import { useEffect, useState, useSWR } from '../vendor/vendor.js';
import { getData } from './api.js';
import { follow } from './sse.js';

const DASHBOARD = '/api/dashboard';
const REFRESH_LIVE_MS = 30_000; // values arrive as live changes; this notices a store that fell silent
const REFRESH_POLLING_MS = 15_000;

/** Worst first (design/UI.md §0). */
export const STATUSES = ['critical', 'offline', 'warning', 'unknown', 'healthy'];

/**
 * The fleet for the component that owns it (the app).
 * `failure` stays until a whole refresh succeeds, also while live changes go on.
 */
export function useFleet() {
  const [live, setLive] = useState('reconnecting');
  const [failure, setFailure] = useState(null);
  const { data, mutate, isValidating } = useSWR(DASHBOARD, readFleet, {
    refreshInterval: live === 'live' ? REFRESH_LIVE_MS : REFRESH_POLLING_MS,
    dedupingInterval: 2_000,
    keepPreviousData: true,
    revalidateOnFocus: false,
    errorRetryCount: 3,
    errorRetryInterval: 5_000,
    onSuccess: () => setFailure(null),
    onError: setFailure,
  });
  useEffect(
    () =>
      follow('/api/servers/realtime', {
        delta: (change) =>
          mutate(
            (fleet) => {
              if (!fleet || change.seq <= fleet.seq) return fleet;
              if (change.seq > fleet.seq + 1) queueMicrotask(() => mutate()); // one is missing in between
              return merged(fleet, change);
            },
            { revalidate: false },
          ),
        missed: () => mutate(),
        state: setLive,
      }),
    [mutate],
  );
  return { fleet: data, failure, live, loading: isValidating, refresh: () => mutate() };
}

/** How old the newest sample of the fleet is now, in seconds; null where there is none. */
export function ageOf(fleet, now = Date.now()) {
  return fleet.age_s === null ? null : fleet.age_s + (now - fleet.receivedAt) / 1000;
}

async function readFleet(path) {
  return { ...(await getData(path)), receivedAt: Date.now() };
}

const OLD_S = 30;

/**
 * The fleet after a change (web/delta.py says what one holds). Servers of which nothing but the age changed stay the
 * same objects, so that their cards are not drawn again, except where a card shows an age that is over.
 */
function merged(fleet, { servers: changed, gone = [], seen = {}, counts, ts, seq, stale = false, age_s: newest }) {
  const fresh = new Map(changed.map((server) => [server.id, server]));
  const kept = fleet.servers
    .filter(({ id }) => !gone.includes(id))
    .map((server) =>
      fresh.has(server.id) || (seen[server.id] && server.age_s > OLD_S)
        ? { ...server, ...timesOf(seen[server.id]), ...fresh.get(server.id) }
        : server,
    );
  const known = new Set(fleet.servers.map((server) => server.id));
  const servers = [...kept, ...changed.filter((server) => !known.has(server.id))];
  const least = Math.min(...changed.map((server) => server.age_s ?? Infinity), ageOf(fleet) ?? Infinity);
  const age_s = newest === undefined ? (Number.isFinite(least) ? least : null) : newest;
  const timestamp = ts;
  return { ...fleet, servers, counts, total: servers.length, timestamp, seq, stale, age_s, receivedAt: Date.now() };
}

function timesOf(seen) {
  if (!seen) return {};
  const [age_ms, uptime_s] = seen;
  return uptime_s === undefined ? { age_s: age_ms / 1000 } : { age_s: age_ms / 1000, uptime_s };
}
