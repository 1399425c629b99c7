/** The conversation with the assistant: its turns, and the one answer that may be under way. */
import { ApiFailure, failureOf, reach } from './api.js';
import { frames } from './sse.js';
import { createStore } from './store.js';

/** `about`: the server that the next question is about, chosen on its page. */
export const conversation = createStore(empty());

let underWay = null;

export function startOver() {
  stop();
  conversation.set(empty());
}

export const askAbout = (server) => conversation.set({ about: server });

/** Ends the answer under way; what has come stays, marked as stopped. */
export function stop() {
  underWay?.abort();
}

/**
 * Asks, and fills a new turn with the answer as it comes.
 * @param {string} query
 */
export async function ask(query) {
  stop();
  const aborter = new AbortController();
  underWay = aborter;
  const { id, about } = conversation.get();
  const key = newId();
  const turn = { key, query, about, phase: 'running', steps: [], charts: [], evidence: [], text: '', answer: null };
  conversation.set(({ turns }) => ({ turns: [...turns, turn], about: null }));
  try {
    await receive(key, requestOf(query, id, about), aborter.signal);
  } catch (error) {
    if (error.name === 'AbortError') change(key, { phase: 'stopped' });
    else {
      const failure = error instanceof ApiFailure ? error : new ApiFailure('interrupted', error.message);
      change(key, { phase: 'failed', failure });
    }
  }
}

async function receive(key, body, signal) {
  const headers = { 'Content-Type': 'application/json', Accept: 'text/event-stream' };
  const response = await reach('/api/ai-agent/stream', { method: 'POST', headers, body, signal });
  if (!response.ok) throw await failureOf(response);
  for await (const { event, data } of frames(response.body)) {
    if (event === 'error') throw new ApiFailure(data.code, data.message);
    const next = TAKE[event];
    if (next) change(key, (turn) => next(turn, data));
    if (event === 'done') return;
  }
  throw new ApiFailure('interrupted');
}

/** What each frame adds to a turn. `done` holds everything once more, and counts. */
const TAKE = {
  step: (turn, step) => ({ steps: [...turn.steps.filter((known) => !sameStep(known, step)), step] }),
  evidence: (turn, item) => ({ evidence: [...turn.evidence, item] }),
  chart: (turn, chart) => ({ charts: [...turn.charts, chart] }),
  delta: (turn, { text }) => ({ text: turn.text + text }),
  done: (turn, answer) => ({
    phase: 'done',
    answer,
    text: answer.response,
    steps: answer.steps ?? turn.steps,
    charts: answer.charts ?? turn.charts,
    evidence: answer.evidence ?? turn.evidence,
  }),
};

/** A step is sent when it starts and again when it has ended. */
function sameStep(known, step) {
  return known.status === 'running' && known.name === step.name;
}

function change(key, changes) {
  conversation.set(({ turns }) => ({
    turns: turns.map((turn) =>
      turn.key === key ? { ...turn, ...(typeof changes === 'function' ? changes(turn) : changes) } : turn),
  }));
}

function requestOf(query, id, about) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const context = { timezone: timeZone, ...(about && { server: about }) };
  return JSON.stringify({ query, session_id: id, context });
}

/** 128 random bits; `crypto.randomUUID` is missing where the page is served over plain HTTP. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function empty() {
  return { id: newId(), turns: [], about: null };
}
