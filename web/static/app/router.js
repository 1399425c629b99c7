/** The address bar as state: the page, the open server, the range and the filters can be pasted to a colleague. */
import { useSyncExternalStore } from '../vendor/vendor.js';

const followers = new Set();
let current = read();

addEventListener('popstate', changed);

/** The address now, as `{path, params}`; components that use it follow every change. */
export const useRoute = () => useSyncExternalStore(follow, () => current);

/**
 * Goes to another page of this app.
 * @param {string} path such as `/chat`
 */
export function go(path) {
  history.pushState(null, '', path);
  changed();
}

/**
 * Changes some parameters of the address and keeps the others; null takes one away.
 * @param {Record<string, string | null>} changes
 * @param {{replace?: boolean}} [options] `replace`: leave no step for the Back button (typing, for example)
 */
export function setParams(changes, { replace = false } = {}) {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) params.set(name, value);
    else params.delete(name);
  }
  const search = params.size ? `?${params}` : '';
  history[replace ? 'replaceState' : 'pushState'](null, '', location.pathname + search);
  changed();
}

/** For `onClick` of a link: stays in the page unless the reader wants a new tab. */
export function followLink(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(event.currentTarget.getAttribute('href'));
}

function read() {
  return { path: location.pathname, params: Object.fromEntries(new URLSearchParams(location.search)) };
}

function changed() {
  current = read();
  followers.forEach((follower) => follower());
}

function follow(follower) {
  followers.add(follower);
  return () => followers.delete(follower);
}
