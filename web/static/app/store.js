/** Small observable values, and the reader's settings, which live in localStorage. */
import { useSyncExternalStore } from '../vendor/vendor.js';

/**
 * A value that components can follow.
 * @template T
 * @param {T} value
 */
export function createStore(value) {
  const followers = new Set();
  return {
    get: () => value,
    /** @param {Partial<T> | ((now: T) => Partial<T>)} change merged into the value */
    set(change) {
      value = { ...value, ...(typeof change === 'function' ? change(value) : change) };
      followers.forEach((follower) => follower());
    },
    subscribe(follower) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
}

/** The store's value, followed. */
export const useStore = (store) => useSyncExternalStore(store.subscribe, store.get);

const WIDE = 1000; // px from which the sidebar stands beside the cards (design/UI.md §2)

export const settings = createStore({
  language: firstLanguage(),
  theme: localStorage.getItem('openmanager.theme') ?? 'system',
  sidebar: window.innerWidth >= WIDE && localStorage.getItem('openmanager.sidebar') !== 'closed',
});

/** @param {'en' | 'ko'} language */
export function setLanguage(language) {
  localStorage.setItem('openmanager.language', language);
  document.documentElement.lang = language;
  settings.set({ language });
}

/** @param {'system' | 'light' | 'dark'} theme */
export function setTheme(theme) {
  const root = document.documentElement;
  if (theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = theme;
  localStorage.setItem('openmanager.theme', theme);
  settings.set({ theme });
}

/** @param {boolean} open */
export function setSidebar(open) {
  if (window.innerWidth >= WIDE) localStorage.setItem('openmanager.sidebar', open ? 'open' : 'closed');
  settings.set({ sidebar: open });
}

function firstLanguage() {
  const wanted = new URLSearchParams(location.search).get('lang') ?? localStorage.getItem('openmanager.language');
  const language = (wanted ?? navigator.language).startsWith('ko') ? 'ko' : 'en';
  document.documentElement.lang = language;
  return language;
}
