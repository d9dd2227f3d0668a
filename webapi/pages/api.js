/**
 * Everything that is asked of webapi: JSON requests, problem documents (RFC 9457) and event streams.
 *
 * Paths are relative to the page, so the whole may be served below any prefix. Event streams are read with fetch
 * rather than EventSource, which can send no Authorization header.
 */

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000; // a restarted server is found within this
const SILENCE_MS = 40_000; // heartbeats come every 15 s: two lost ones mean a dead connection

/** A refusal, or a server out of reach (status 0). `message` is a sentence for people. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{title?: string, detail?: string, retry_after_s?: number, ticket?: string}} problem
   */
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered with status ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.ticket = problem.ticket ?? ""; // the one that is open already
    this.retryAfterS = problem.retry_after_s ?? 0;
  }

  /** Whether asking again later may help. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * @param {string} path below the page, such as "v1/games"
 * @param {{method?: string, body?: unknown, token?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the answer's JSON; null where there is none
 */
export async function request(path, { method = "GET", body, token, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  const response = await reach(path, { method, headers, signal, body: text });
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

/**
 * Follow an event stream for as long as `onEvent` wants it, through every lost connection.
 *
 * @param {string} path
 * @param {object} options
 * @param {(event: StreamEvent) => boolean | void} options.onEvent true ends the following
 * @param {(live: boolean, error?: ApiError) => void} [options.onLive] the connection came up or went down
 * @param {() => Promise<string>} [options.token] asked before each connection, so it may renew itself
 * @param {string} [options.lastId] id of the last event that is known already
 * @param {AbortSignal} options.signal
 * @returns {Promise<void>} when `onEvent` said true or the signal fired; rejects where retrying cannot help
 *
 * @typedef {{id: string, event: string, data: any}} StreamEvent data is parsed JSON
 */
export async function follow(path, { onEvent, onLive = () => {}, token, lastId = "", signal }) {
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream" };
      if (lastId) headers["Last-Event-ID"] = lastId;
      if (token) headers.Authorization = `Bearer ${await token()}`;
      const events = connect(path, headers, signal, () => onLive(true));
      let next = await events.next();
      for (; !next.done; next = await events.next()) {
        retryMs = FIRST_RETRY_MS;
        lastId = next.value.id || lastId;
        if (onEvent(next.value)) return void events.return();
      }
      if (next.value) return;
      onLive(false);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError) || !error.passing) throw error;
      onLive(false, error);
    }
    // Spread out: a thousand pages must not come back in the same instant.
    await pause(retryMs * (0.5 + Math.random() / 2), signal);
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 2);
  }
}

/**
 * Ask until there is an answer: for what must be known to go on, while the server restarts.
 * @template T @param {() => Promise<T>} ask @param {AbortSignal} signal @returns {Promise<T>}
 */
export async function patiently(ask, signal) {
  for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !(error instanceof ApiError) || !error.passing) throw error;
      await pause(retryMs, signal);
    }
  }
}

/** Wait, but no longer than the signal lets us. Never rejects. @param {number} ms @param {AbortSignal} signal */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(undefined); }, { once: true });
  });
}

/** One connection's events. Ends with the stream (true where there is nothing more to come); raises ApiError when it is refused, breaks or falls silent. */
async function* connect(path, headers, signal, onOpen) {
  const silence = new AbortController();
  const response = await reach(path, { headers, cache: "no-store", signal: AbortSignal.any([signal, silence.signal]) });
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return true; // what it told has come to its end, and we have heard it all
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  let timer = 0;
  try {
    for (;;) {
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) return false;
      yield* parser.feed(value);
    }
  } catch {
    throw unreachable();
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {}); // already broken is fine
  }
}

/** Text of an event stream to events, as the WHATWG HTML standard tells, "Server-sent events". */
export class EventParser {
  #rest = "";
  #event = { id: "", event: "message", data: [] };

  /** @param {string} text the next piece, cut anywhere @returns {StreamEvent[]} the events it completes */
  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#event.data.push(value);
    else if (name === "id" || name === "event") this.#event[name] = value;
    return null;
  }

  #dispatch() {
    const { id, event, data } = this.#event;
    this.#event = { id, event: "message", data: [] };
    return data.length ? { id, event, data: JSON.parse(data.join("\n")) } : null;
  }
}

/** fetch, with a server out of reach told as an ApiError like everything else. */
async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  }
}

function unreachable() {
  return new ApiError(0, { detail: "The server is out of reach. Check that Muster is running; the page tries again." });
}

/** @param {Response} response @returns {Promise<ApiError>} */
async function problemOf(response) {
  try {
    return new ApiError(response.status, await response.json());
  } catch {
    return new ApiError(response.status, {}); // a proxy's page instead of a problem document
  }
}
