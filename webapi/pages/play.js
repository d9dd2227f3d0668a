/**
 * From the Play button to the result: account, ticket, match, reconnects. No page in here; `playview.js` shows it.
 *
 * One flow at a time, written as one straight line: follow the ticket until it is placed, play the match, and when
 * the connection is lost, ask the ticket where to go on.
 */

import { accessToken, ensureAccount, knownAccount, requestAs } from "./account.js";
import { ArenaLink } from "./arena/net.js";
import { ArenaState } from "./arena/state.js";
import { ApiError, follow, patiently, pause, REJOIN_MS, ticketPath, WAITING, wayTo } from "./muster.js";

const GAME_KEY = "muster.game"; // in sessionStorage: a reload asks what its player waits for or plays there
const VIA = new URLSearchParams(location.search).get("via") ?? "auto"; // ?via=edge: through this page's own address
const UNMATCHED = ["QUEUED", "SEARCHING"];
const WHY_MS = 4000; // between two questions; who is matched sooner asks none
const REQUEUED = "The game server was lost. You are back in the queue; your wait counts on.";
const RELEASED = "Another player turned the match down. You are back in the queue; your wait counts on.";
const SENTENCES = {
  acceptance_timed_out: "The match was not accepted in time. Press Play to queue again.",
  rejected: "The match was declined. Press Play to queue again.",
  CANCELLED: "The ticket was cancelled. Press Play to queue again.",
  TIMED_OUT: "No opponent was found in time. Press Play to queue again.",
  FAILED: "No server could be started for this match. Look at the servers below, then press Play again.",
};

/**
 * @typedef {{state: ArenaState, link: ArenaLink}} PlayedMatch
 * @typedef {object} PlayView
 * @property {"idle" | "waiting" | "playing" | "result"} phase
 * @property {string} game
 * @property {import("./account.js").Account | null} me
 * @property {Ticket | null} ticket
 * @property {string} why it waits still; "" while that is not known
 * @property {string} notice what to tell the player; "" for nothing
 * @property {boolean} failed whether the notice is bad news
 * @property {boolean} connected to the arena
 * @property {PlayedMatch | null} match
 * @property {import("./arena/net.js").MatchResult | null} result
 *
 * @typedef {{address: string, ports: {name: string, protocol: string, port: number}[]}} Connection
 * @typedef {{accepted: number, players: number, until: string, yours: boolean}} Acceptance
 * @typedef {{id: string, game: string, status: string, seq: number, waited_s: number, match?: string, reason?: string,
 *   acceptance?: Acceptance, join_token?: string, connection?: Connection}} Ticket the last two while its match can be
 *   joined, the one before while its players are asked
 */

/** @type {PlayView} */
export const IDLE = {
  phase: "idle", game: "", me: null, ticket: null, why: "", notice: "", failed: false,
  connected: false, match: null, result: null,
};

export class Play {
  #view = IDLE;
  #publish;
  #stop = new AbortController();

  /** @param {(view: PlayView) => void} publish called with each change */
  constructor(publish) {
    this.#publish = publish;
  }

  /** Go on where this tab was before a reload: its player still waits, or has a seat in a match that runs. */
  async resume() {
    const me = await knownAccount();
    const game = sessionStorage.getItem(GAME_KEY);
    if (!me || this.#view.phase !== "idle") return;
    this.#set({ me });
    if (game) await this.#run(game, () => currentTicket(game));
  }

  /** Queue for a game. @param {string} game id */
  async start(game) {
    await this.#run(game, () => openTicket(game));
  }

  /** Accept the match that was found, or decline it, which gives up the ticket. @param {boolean} accept */
  async answer(accept) {
    const { ticket } = this.#view;
    try {
      const told = await requestAs(`${ticketPath(ticket)}/acceptance`, {
        method: "POST", body: { accept, match: ticket.match },
      });
      if (!accept) this.reset();
      else if (told.seq >= this.#view.ticket?.seq) this.#set({ ticket: told });
    } catch (error) {
      this.#set({ notice: sentence(error), failed: true });
    }
  }

  /** Give up the ticket while it waits. */
  async cancel() {
    const { ticket } = this.#view;
    if (!ticket) return;
    try {
      await requestAs(ticketPath(ticket), { method: "DELETE" });
      this.reset();
    } catch (error) {
      this.#set({ notice: sentence(error), failed: true });
    }
  }

  /** Back to the start. Leaves the match, if one is being played; the others play on. */
  reset() {
    this.#stop.abort();
    sessionStorage.removeItem(GAME_KEY);
    this.#set({ ...IDLE, game: this.#view.game, me: this.#view.me });
  }

  /** @param {string} game @param {() => Promise<Ticket | null>} open gets the ticket to begin with */
  async #run(game, open) {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#set({ ...IDLE, phase: "waiting", game, me: this.#view.me });
    try {
      const ticket = await open();
      if (signal.aborted) return;
      this.#set({ me: await ensureAccount() });
      if (ticket === null) return this.reset();
      sessionStorage.setItem(GAME_KEY, game);
      await this.#ticket(ticket, signal);
    } catch (error) {
      if (!signal.aborted) this.#fail(sentence(error));
    }
  }

  /** A ticket's whole life, through every requeue and reconnect. */
  async #ticket(ticket, signal) {
    for (let refused = 0; !signal.aborted; ) {
      if (WAITING.includes(ticket.status)) {
        ticket = await this.#wait(ticket, signal);
        refused = 0;
      }
      if (signal.aborted) return;
      this.#set({ ticket });
      if (ticket.status !== "COMPLETED") return this.#fail(SENTENCES[ticket.reason] ?? SENTENCES[ticket.status]);
      if (ticket.connection) {
        await pause(REJOIN_MS[refused], signal);
        const { ending, joined } = await this.#playMatch(ticket, refused, signal);
        if (signal.aborted) return;
        if (ending.kind === "over") return this.#finish(ending.result);
        if (ending.code === "replaced") return this.#fail("This match was opened in another tab. Play on there.");
        refused = joined ? 0 : refused + 1;
        if (refused === REJOIN_MS.length) return this.#fail(ending.detail || unreachableServer(ticket));
      } else {
        const { state, result } = await patiently(() => readMatch(ticket), signal);
        if (state === "ENDED") return this.#finish(result);
        await pause(REJOIN_MS.at(-1), signal); // between two states: the ticket will tell
      }
      ticket = await patiently(() => readTicket(ticket), signal);
      if (WAITING.includes(ticket.status)) this.#set({ notice: REQUEUED });
    }
  }

  /** @returns {Promise<Ticket>} the ticket as soon as it waits no longer */
  async #wait(ticket, signal) {
    this.#set({ phase: "waiting", match: null });
    const found = new AbortController();
    this.#explain(ticket, AbortSignal.any([signal, found.signal]));
    await follow(`${ticketPath(ticket)}/events`, {
      signal,
      token: accessToken,
      lastId: String(ticket.seq),
      onLive: (live, error) => {
        if (error) this.#set({ notice: sentence(error), failed: true });
        else if (live && this.#view.failed) this.#set({ notice: "", failed: false });
      },
      onEvent: ({ event, data }) => {
        if (event !== "status") return false;
        ticket = { ...ticket, ...data };
        this.#set({ ticket });
        if (!UNMATCHED.includes(ticket.status)) found.abort();
        if (data.event === "released") this.#set({ notice: RELEASED });
        if (data.event === "proposed") this.#set({ notice: "", failed: false });
        return !WAITING.includes(ticket.status);
      },
    }).finally(() => found.abort());
    return signal.aborted ? ticket : patiently(() => readTicket(ticket), signal);
  }

  /** Ask now and then why a ticket waits still, until the signal fires. What cannot be told leaves the last answer. */
  async #explain(ticket, signal) {
    this.#set({ why: "" });
    while (!signal.aborted) {
      await pause(WHY_MS, signal);
      if (signal.aborted || document.hidden) continue;
      const answer = await requestAs(`${ticketPath(ticket)}/why`, { signal }).catch(() => null);
      if (answer && !signal.aborted) this.#set({ why: answer.detail });
    }
    this.#set({ why: "" });
  }

  /** One connection to the server of a placed ticket: how it ended, and whether it let us in. */
  async #playMatch(ticket, failed, signal) {
    const state = this.#view.match?.state ?? new ArenaState();
    const link = new ArenaLink(wayTo(ticket, { via: VIA, failed }), ticket.join_token, state);
    const match = this.#view.match ?? { state, link };
    match.link = link;
    signal.addEventListener("abort", () => link.leave(), { once: true });
    this.#set({ phase: "playing", match, connected: false, notice: "" });
    link.whenJoined.then(() => signal.aborted || this.#set({ connected: true }));
    const ending = await link.ended;
    if (!signal.aborted) this.#set({ connected: false });
    return { ending, joined: link.joined };
  }

  #finish(result) {
    sessionStorage.removeItem(GAME_KEY);
    if (!result?.players) return this.#fail("The match is over. Press Play for a new one.");
    this.#set({ phase: "result", result, match: null, connected: false, notice: "", failed: false });
  }

  #fail(notice) {
    sessionStorage.removeItem(GAME_KEY);
    this.#set({ ...IDLE, game: this.#view.game, me: this.#view.me, notice, failed: true });
  }

  #set(change) {
    this.#view = { ...this.#view, ...change };
    this.#publish(this.#view);
  }
}

/** @returns {Promise<Ticket>} a new ticket, or the one that this player has open already */
async function openTicket(game) {
  try {
    return await requestAs("v1/tickets", { method: "POST", body: { game } });
  } catch (error) {
    if (error instanceof ApiError && error.ticket) return readTicket({ game, id: error.ticket });
    throw error;
  }
}

/** @returns {Promise<Ticket | null>} what this player waits for, or has a seat in; null for nothing */
function currentTicket(game) {
  return requestAs(`v1/tickets/${encodeURIComponent(game)}/current`).catch(() => null);
}

/** @returns {Promise<Ticket>} with a fresh join token while its match can be joined */
function readTicket(ticket) {
  return requestAs(ticketPath(ticket));
}

/** @returns {Promise<{state: string, result?: any}>} the match of a placed ticket */
function readMatch({ game, match }) {
  return requestAs(`v1/matches/${encodeURIComponent(game)}/${encodeURIComponent(match)}`);
}

function unreachableServer({ connection: { address } }) {
  return `The game server at ${address} is out of reach from here. Look at MUSTER_ADDRESS, then press Play again.`;
}

/** An error as a sentence with the next step. @param {Error} error */
function sentence(error) {
  const wait = error instanceof ApiError && error.retryAfterS;
  return wait ? `${error.message} Try again in ${Math.ceil(wait)} s.` : error.message;
}
