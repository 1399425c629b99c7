/** Requests to our own server, which answers in an envelope (CONTRACT.md): data, or an error with a code. */

/** A request that failed; `code` is the server's, or `network` where nobody answered. */
export class ApiFailure extends Error {
  /**
   * @param {string} code
   * @param {string} [details] the server's own words
   */
  constructor(code, details = '') {
    super(`${code} ${details}`);
    this.code = code;
    this.details = details;
  }
}

/**
 * The `data` of a GET. Throws ApiFailure.
 * @param {string} path
 */
export async function getData(path) {
  const response = await reach(path);
  if (!response.ok) throw await failureOf(response);
  return (await response.json()).data;
}

/**
 * A fetch that throws ApiFailure `network` where nobody answers; an abort stays an AbortError.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiFailure('network', error.message);
  }
}

/** What a response that is not `ok` says about itself. */
export async function failureOf(response) {
  const body = await response.json().catch(() => null); // a proxy in between may answer in HTML
  return new ApiFailure(body?.error?.code ?? `http_${response.status}`, body?.error?.message);
}
