/** Server-sent events: read from a fetch (an answer), and followed for good (the fleet). */

/**
 * The frames of a response body, as they come.
 * @param {ReadableStream<Uint8Array>} body
 * @yields {{event: string, data: any}}
 */
export async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replaceAll('\r\n', '\n').split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const frame = parse(block);
      if (frame) yield frame;
    }
  }
}

function parse(block) {
  let event = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) event = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
  }
  return data.length ? { event, data: JSON.parse(data.join('\n')) } : null; // a comment is a heartbeat
}

const FAILURES_UNTIL_POLLING = 3;
const RECONNECT_MS = 15_000; // EventSource retries a broken line by itself, but not a refused one
const LONG_HIDDEN_MS = 60_000;

/**
 * Follows the live changes of the fleet until the returned function is called.
 * @param {string} url
 * @param {{delta: (change: any) => void, state: (state: 'live' | 'reconnecting' | 'polling') => void,
 *   missed: () => void}} on `missed`: changes may have been lost, read everything again
 */
export function follow(url, on) {
  let source, timer, hiddenAt = 0, failures = 0, seq = null;

  function connect() {
    source = new EventSource(url);
    source.addEventListener('hello', (event) => {
      const now = JSON.parse(event.data).seq;
      if (failures || (seq !== null && now !== seq)) on.missed();
      [failures, seq] = [0, now];
      on.state('live');
    });
    source.addEventListener('delta', (event) => {
      const change = JSON.parse(event.data);
      if (seq !== null && change.seq > seq + 1) on.missed();
      seq = change.seq;
      on.delta(change);
    });
    source.addEventListener('reset', (event) => {
      seq = JSON.parse(event.data).seq;
      on.missed();
    });
    source.addEventListener('error', () => {
      failures += 1;
      on.state(failures < FAILURES_UNTIL_POLLING ? 'reconnecting' : 'polling');
      if (failures === 1) on.missed();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, RECONNECT_MS);
    });
  }

  function visibility() {
    if (document.hidden) hiddenAt = Date.now();
    else if (hiddenAt && Date.now() - hiddenAt > LONG_HIDDEN_MS) on.missed();
  }

  connect();
  document.addEventListener('visibilitychange', visibility);
  return () => {
    clearTimeout(timer);
    source.close();
    document.removeEventListener('visibilitychange', visibility);
  };
}
