/**
 * One connection to one match: says who we are, hands on what the server tells, sends commands.
 *
 * The messages are those of the wire protocol (docs/protocol.md), one JSON object per WebSocket text frame. A link is
 * used once; whoever holds it decides whether to make another.
 */

const PING_EVERY_MS = 1000;
const JOIN_MS = 8000; // connecting and joining may take so long
const SMOOTHING = 0.3; // share of a new delay sample

/**
 * @typedef {{kind: "over", result: MatchResult} | {kind: "left"} | {kind: "lost", code: string, detail: string}} Ending
 * @typedef {{player: string, name: string, team: string, rank: number, score: number, kills: number, deaths: number,
 *   damage: number, shots: number}} PlayerResult
 * @typedef {{match: string, reason: string, winner: string, players: PlayerResult[], teams: {team: string,
 *   rank: number, score: number}[], started_at_ms: number, ended_at_ms: number}} MatchResult
 */

export class ArenaLink {
  #socket;
  #state;
  #seq = 0;
  #end;
  #welcome;
  #timers = [];
  #refusal = { code: "", detail: "" }; // the last error told by the server

  /** Delay there and back in ms, smoothed; 0 before it was measured. */
  latencyMs = 0;
  /** Whether the server has let us in. */
  joined = false;
  /** Settles when `joined` turns true, or never. @type {Promise<void>} */
  whenJoined = new Promise((resolve) => { this.#welcome = resolve; });
  /** How it ended. Never rejects. @type {Promise<Ending>} */
  ended = new Promise((resolve) => { this.#end = resolve; });

  /**
   * @param {{url: string, protocols: string[]}} way to the server's WebSocket port
   * @param {string} token join token of this player for this match
   * @param {import("./state.js").ArenaState} state told everything that arrives
   */
  constructor({ url, protocols }, token, state) {
    this.#state = state;
    this.ended.then(() => this.#timers.forEach(clearTimeout));
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onopen = () => this.#send({ type: "join", token });
    this.#socket.onmessage = ({ data }) => this.#received(JSON.parse(data));
    this.#socket.onclose = () => this.#finish({ kind: "lost", ...this.#refusal });
    this.#timers.push(setTimeout(() => this.joined || this.#socket.close(), JOIN_MS));
  }

  /** @param {object[]} commands `move` and `shoot`, at most 32 @returns {number} sequence number of the last one */
  send(commands) {
    if (!this.joined) return this.#seq;
    this.#send({ type: "input", seq: this.#seq + 1, commands });
    this.#seq += commands.length;
    return this.#seq;
  }

  /** Give up the tank. */
  leave() {
    this.#send({ type: "leave" });
    this.#finish({ kind: "left" });
  }

  #received(message) {
    const now = performance.now();
    switch (message.type) {
      case "welcome":
        this.#seq = message.ack;
        this.#state.welcome(message, now);
        this.joined = true;
        this.#welcome();
        this.#timers.push(setInterval(() => this.#send({ type: "ping", t: performance.now() }), PING_EVERY_MS));
        break;
      case "snapshot":
        this.#state.snapshot(message, now);
        break;
      case "pong": {
        const sample = now - message.t;
        this.latencyMs = this.latencyMs ? this.latencyMs + SMOOTHING * (sample - this.latencyMs) : sample;
        break;
      }
      case "over":
        this.#finish({ kind: "over", result: message.result });
        break;
      case "error":
        this.#refusal = { code: message.code, detail: message.detail };
        if (!this.joined) this.#socket.close();
    }
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #finish(ending) {
    this.#end(ending);
    this.#socket.close();
  }
}
