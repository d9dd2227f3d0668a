/**
 * The client kit for browsers: one file, nothing else needed; docs/clients.md. `Muster` is a player, `MatchSocket` a
 * connection that finds its match again. Below are JSON requests, problem documents (RFC 9457), and event streams, read
 * with fetch as EventSource sends no Authorization header.
 */

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000; // a restarted server is found within this
const SILENCE_MS = 40_000; // heartbeats come every 15 s: two lost ones mean a dead connection
const RENEW_EARLY_MS = 30_000; // a token must outlive the request it is sent with
export const REJOIN_MS = [0, 250, 500, 1000, 2000, 4000, 4000]; // between tries to get back into a match
export const WAITING = ["QUEUED", "SEARCHING", "REQUIRES_ACCEPTANCE", "PLACING"];

/**
 * One player of one installation.
 * @typedef {object} Ticket as GET /v1/tickets/{game}/{ticket} tells it; the last two while its match can be joined
 * @property {string} id @property {string} game @property {string} status @property {number} seq
 * @property {string} [match] @property {string} [reason] @property {string} [join_token]
 * @property {{address: string, ports: {name: string, protocol: string, port: number}[]}} [connection]
 */
export class Muster {
  #base;
  #account = null;
  #renewal = null;

  /** @param {string} [base] URL of the installation; "" where the page is served by it */
  constructor(base = "") { this.#base = base && `${base.replace(/\/$/, "")}/`; }

  /** Who plays; keep it (it is plain JSON) to come back as the same player. */
  get account() { return this.#account; }
  set account(kept) { this.#account = kept; }
  /** A player without a password, forgotten after 30 days. @param {string} [name] */
  guest(name) { return this.#enter("v1/guests", name ? { name } : {}); }
  login(name, password) { return this.#enter("v1/login", { name, password }); }
  register(name, password) { return this.#enter("v1/accounts", { name, password }); }
  logout() { return this.request("v1/logout", { method: "POST" }).then(() => { this.#account = null; }); }
  /** A request as this player. @param {string} path such as "v1/me" @returns {Promise<any>} */
  async request(path, options = {}) {
    return request(this.#base + path, { ...options, token: await this.accessToken() });
  }

  /**
   * Wait for a match: a new ticket, or the one that is open already, followed until its match can be played.
   * @param {string} game
   * @param {{attributes?: object, latencies?: object, party?: string, signal?: AbortSignal,
   *   onStatus?: (ticket: Ticket) => void}} [options] at REQUIRES_ACCEPTANCE call `accept`
   * @returns {Promise<Ticket>} COMPLETED, or how else it ended
   */
  async queue(game, { onStatus = () => {}, signal = new AbortController().signal, ...fields } = {}) {
    const made = await this.request("v1/tickets", { method: "POST", body: { game, ...fields }, signal })
      .catch((error) => { if (error.ticket) return this.ticket({ game, id: error.ticket }); throw error; });
    onStatus(made);
    return this.wait(made, { onStatus, signal });
  }

  /** Follow a ticket until it waits no longer. @returns {Promise<Ticket>} */
  async wait(ticket, { onStatus = () => {}, signal = new AbortController().signal } = {}) {
    if (WAITING.includes(ticket.status)) {
      await follow(`${this.#base}${ticketPath(ticket)}/events`, {
        signal, token: () => this.accessToken(), lastId: String(ticket.seq),
        onEvent: ({ event, data }) => {
          if (event !== "status") return false;
          ticket = { ...ticket, ...data };
          onStatus(ticket);
          return !WAITING.includes(ticket.status);
        },
      });
    }
    return patiently(() => this.ticket(ticket), signal);
  }

  /** @returns {Promise<Ticket>} as it is now, with a fresh join token while its match can be joined */
  ticket(ticket) { return this.request(ticketPath(ticket)); }
  /** Accept the match that was found, or decline it. @param {boolean} [accept] */
  accept(ticket, accept = true) {
    return this.request(`${ticketPath(ticket)}/acceptance`, { method: "POST", body: { accept, match: ticket.match } });
  }
  cancel(ticket) { return this.request(ticketPath(ticket), { method: "DELETE" }); }
  match({ game, match }) { return this.request(`v1/matches/${game}/${match}`); }
  /** @param {"activity" | "score" | "rating"} board @param {object} [query] such as { top: 10 } */
  board(game, board, query = {}) {
    return this.request(`v1/games/${game}/boards/${board}?${new URLSearchParams(query)}`);
  }

  /** Connect to the ticket's match. @param {Ticket} ticket @param {SocketOptions} [options] @returns {MatchSocket} */
  connect(ticket, options = {}) { return new MatchSocket(this, this.#base, ticket, options); }

  /** @returns {Promise<string>} an access token that is good for a while */
  async accessToken() {
    if (!this.#account) await this.guest();
    if (Date.now() >= this.#account.renew_at_ms) {
      // Once for all who ask: a refresh token is good for one use.
      const body = { refresh_token: this.#account.refresh_token };
      this.#renewal ??= this.#enter("v1/refresh", body).finally(() => { this.#renewal = null; });
      await this.#renewal;
    }
    return this.#account.access_token;
  }

  async #enter(path, body) {
    const { expires_in, ...session } = await request(this.#base + path, { method: "POST", body });
    return (this.#account = { ...session, renew_at_ms: Date.now() + expires_in * 1000 - RENEW_EARLY_MS });
  }
}

/**
 * A connection to a match that is made again, with a fresh token, whenever it is lost: by a network, by a Muster that
 * restarts (close code 1012), by a server that died and a new match in its place.
 * @typedef {object} SocketOptions
 * @property {"auto" | "direct" | "edge"} [via] `edge` goes through Muster's own address; `auto` where it has to
 * @property {string} [port] name of the server's port @property {string} [path] of its WebSocket
 * @property {(socket: MatchSocket, ticket: Ticket) => void} [onOpen] each time; `ticket.join_token` is fresh
 * @property {(event: MessageEvent) => void} [onMessage]
 * @property {(detail: {code: number, reason: string}) => void} [onLost] it is tried again
 * @property {(ending: {reason: string, detail?: any}) => void} [onEnd] for good: "closed", "over", "left", or why not
 */
export class MatchSocket {
  #muster; #base; #options;
  #socket = null;
  #stop = new AbortController();

  constructor(muster, base, ticket, options) {
    [this.#muster, this.#base, this.#options] = [muster, base, options];
    this.#live(ticket).catch((error) => this.#end("failed", error.message));
  }

  /** Send, if there is a connection now. @returns {boolean} whether it was sent */
  send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    return true;
  }

  /** Leave for good. */
  close() {
    this.#socket?.close(1000);
    this.#end("left");
  }

  async #live(ticket) {
    for (let failed = 0, { signal } = this.#stop; !signal.aborted; ) {
      if (WAITING.includes(ticket.status)) ticket = await this.#muster.wait(ticket, { signal });
      if (ticket.status !== "COMPLETED") return void this.#end(ticket.reason || ticket.status);
      if (ticket.connection) {
        const { opened, code, reason } = await this.#once(ticket, failed);
        if (signal.aborted) return;
        if (code === 1000 || code >= 4000) return void this.#end("closed", { code, reason });
        this.#options.onLost?.({ code, reason });
        failed = opened ? 0 : failed + 1;
      } else {
        const match = await patiently(() => this.#muster.match(ticket), signal);
        if (match.state === "ENDED") return void this.#end("over", match.result);
        failed += 1; // between two states: the ticket will tell
      }
      if (failed === REJOIN_MS.length) return void this.#end("unreachable");
      await pause(REJOIN_MS[failed] * (0.5 + Math.random() / 2) + Math.random() * 100, signal);
      ticket = await patiently(() => this.#muster.ticket(ticket), signal);
    }
  }

  #once(ticket, failed) {
    const { url, protocols } = wayTo(ticket, { ...this.#options, failed, base: this.#base });
    return new Promise((resolve) => {
      const socket = new WebSocket(url, protocols);
      socket.binaryType = "arraybuffer";
      let opened = false;
      socket.onopen = () => { opened = true; this.#options.onOpen?.(this, ticket); };
      socket.onmessage = (event) => this.#options.onMessage?.(event);
      socket.onclose = ({ code, reason }) => resolve({ opened, code, reason });
      this.#socket = socket;
    });
  }

  #end(reason, detail) {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#options.onEnd?.({ reason, detail });
  }
}

/**
 * Where to connect for a ticket's match: to its server, or through Muster's own address. A page over TLS may open secure
 * sockets only, which a server has not; and what was out of reach directly is tried the other way.
 * @param {Ticket} ticket
 * @param {{via?: string, failed?: number, base?: string, port?: string, path?: string}} [options] `failed` tries
 * @returns {{url: string, protocols: string[]}} what a WebSocket is made with
 */
export function wayTo({ game, match, connection, join_token }, options = {}) {
  const { via = "auto", failed = 0, base = "", port, path } = options;
  const page = new URL(base || ".", document.baseURI);
  const direct = connection.ports.find(({ name, protocol }) => protocol === "ws" && (!port || name === port));
  const edge = via === "edge" || !direct || (via === "auto" && (page.protocol === "https:" || failed % 2));
  if (!edge) {
    const host = connection.address.includes(":") ? `[${connection.address}]` : connection.address;
    return { url: `ws://${host}:${direct.port}${path ?? "/ws"}`, protocols: [] };
  }
  const query = new URLSearchParams(Object.entries({ port, path }).filter(([, value]) => value));
  const url = new URL(`v1/matches/${game}/${match}/ws?${query}`, page);
  url.protocol = url.protocol.replace("http", "ws");
  return { url: url.href, protocols: ["muster.v1", `muster.token.${join_token}`] };
}

export const ticketPath = ({ game, id }) => `v1/tickets/${encodeURIComponent(game)}/${encodeURIComponent(id)}`;

/** A refusal, or a server out of reach (status 0). `message` is a sentence for people. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered with status ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.ticket = problem.ticket ?? ""; // the one that is open already
    this.retryAfterS = problem.retry_after_s ?? 0;
  }
  /** Whether asking again later may help. */
  get passing() { return this.status === 0 || this.status === 429 || this.status >= 500; }
}

/**
 * @param {string} path @param {{method?: string, body?: unknown, token?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the answer's JSON; null where there is none
 */
export async function request(path, { method = "GET", body, token, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await reach(path, { method, headers, signal, body: JSON.stringify(body) });
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : response.json();
}

/**
 * Follow an event stream for as long as `onEvent` wants it, through every lost connection.
 * @param {string} path @param {object} options
 * @param {(event: StreamEvent) => boolean | void} options.onEvent true ends the following
 * @param {(live: boolean, error?: ApiError) => void} [options.onLive] the connection came up or went down
 * @param {() => Promise<string>} [options.token] asked before each connection, so it may renew itself
 * @param {string} [options.lastId] id of the last event that is known already @param {AbortSignal} options.signal
 * @returns {Promise<void>} when `onEvent` said true or the signal fired; rejects where retrying cannot help
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

/** Ask until there is an answer. @template T @param {() => Promise<T>} ask @param {AbortSignal} signal */
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

/** One connection's events, to its end: true where nothing more is to come. ApiError: refused, broken or silent. */
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
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line);
    if (name === "data") this.#event.data.push(value ?? "");
    else if (name === "id" || name === "event") this.#event[name] = value ?? "";
    return null;
  }

  #dispatch() {
    const { id, event, data } = this.#event;
    this.#event = { id, event: "message", data: [] };
    return data.length ? { id, event, data: JSON.parse(data.join("\n")) } : null;
  }
}

/** fetch, with a server out of reach told as an ApiError like everything else. */
const reach = (path, options) =>
  fetch(path, options).catch((error) => { throw options.signal?.aborted ? error : unreachable(); });

const unreachable = () =>
  new ApiError(0, { detail: "The server is out of reach. Check that Muster is running; the page tries again." });

/** @param {Response} response without JSON where a proxy sent a page of its own @returns {Promise<ApiError>} */
const problemOf = async (response) => new ApiError(response.status, await response.json().catch(() => ({})));
