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
        delta: (change) => mutate((fleet) => fleet && merged(fleet, change), { revalidate: false }),
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

/** Unchanged servers stay the same objects, so that their cards are not drawn again. */
function merged(fleet, { servers: changed, gone = [], counts, ts }) {
  const fresh = new Map(changed.map((server) => [server.id, server]));
  const kept = fleet.servers.filter(({ id }) => !gone.includes(id)).map((server) => fresh.get(server.id) ?? server);
  const known = new Set(fleet.servers.map((server) => server.id));
  const servers = [...kept, ...changed.filter((server) => !known.has(server.id))];
  const age_s = Math.min(...changed.map((server) => server.age_s ?? Infinity), ageOf(fleet) ?? Infinity);
  return {
    ...fleet,
    servers,
    counts,
    total: servers.length,
    timestamp: ts,
    stale: false,
    age_s: Number.isFinite(age_s) ? age_s : null,
    receivedAt: Date.now(),
  };
}
