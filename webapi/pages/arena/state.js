/**
 * What this client knows of a match, and how it looks at any moment between two snapshots.
 *
 * Snapshots come at the server's tick rate but not evenly. Tanks are shown a moment in the past
 * (`SHOWN_LATE_MS`), so that there is nearly always a later place to interpolate towards. Pure: time is an argument
 * (milliseconds, any monotonic clock); metres and degrees as on the wire.
 */

const SHOWN_LATE_MS = 70; // covers ordinary jitter and two lost ticks at 60 Hz
const LATE_SPARE_MS = 20; // jitter, where snapshots come so seldom that SHOWN_LATE_MS would not reach two of them
const SETTLE_MS = 50; // a tank that stood still starts to move within this, not from its last report
const KEPT_SAMPLES = 12; // per tank; more than SHOWN_LATE_MS of them at any tick rate
const DRIFT = 0.02; // how fast the clock follows later arrivals; earlier ones count at once
const FORGET_MS = 3000; // a tank of which nothing was told for so long is gone, or out of sight
const FEED_LINES = 5;
const EFFECT_MS = 1500; // the longest effect

/**
 * @typedef {{tick: number, x: number, y: number, heading: number, aim: number}} Sample metres, degrees
 * @typedef {{slot: number, x: number, y: number, heading: number, aim: number, hitPoints: number, hitAgeMs: number,
 *   travelled: number}} TankView metres, degrees counter-clockwise from east; `travelled` moves the tracks
 * @typedef {{id: string, name: string, team: string, score: number, kills: number, deaths: number}} PlayerView
 * @typedef {{kind: "shot", at: number, x: number, y: number, aim: number, length: number, slot: number, hit: boolean,
 *   damage: number} | {kind: "blast", at: number, x: number, y: number, slot: number}} Effect `at` is when it is shown
 */

export class ArenaState {
  /** From the welcome; null before it. */
  world = null;
  slot = -1;
  /** What only we are told (docs/protocol.md, `you`). */
  you = { mana: 0, stamina: 0, speed: 0, cooldown_ms: 0, respawn_ms: 0 };
  /** The highest command number the server has taken in. */
  ack = 0;
  /** @type {Map<number, PlayerView>} */
  players = new Map();
  /** @type {Effect[]} */
  effects = [];
  /** Latest first. @type {{id: number, victim: number, by: number}[]} */
  feed = [];
  #tanks = new Map();
  /** Where tanks out of our area of interest were last. @type {Map<number, {x: number, y: number, tick: number}>} */
  #far = new Map();
  #every = 1; // ticks between two snapshots
  #tickMs = 0;
  #tick = 0;
  #startTick = 0; // when the first player joined
  #tickZero = 0; // when tick 0 was, on our clock
  #lines = 0;

  /** Joined, perhaps again: forget what was known. */
  welcome(message, now) {
    this.world = message.world;
    this.slot = message.slot;
    this.ack = message.ack;
    this.players.clear();
    this.effects = [];
    this.#tanks.clear();
    this.#far.clear();
    this.#tickMs = 1000 / message.tick_rate;
    this.#tickZero = now - message.tick * this.#tickMs;
    this.#tick = message.tick;
    this.#startTick = message.tick - message.played_ms / this.#tickMs;
  }

  snapshot({ tick, ack, every = 1, changed = [], removed = [], players = [], events = [], far = [], you }, now) {
    this.#follow(tick, now);
    this.#tick = tick;
    this.#every = every;
    this.ack = ack;
    if (you) this.you = you;
    for (const slot of removed) this.#tanks.delete(slot);
    for (const [slot, id, name, team, score, kills, deaths] of players) {
      this.players.set(slot, { id, name, team, score, kills, deaths });
    }
    for (const row of changed) this.#place(row, tick);
    for (const [slot, x, y] of far) this.#far.set(slot, { x, y, tick });
    this.#forget(tick - FORGET_MS / this.#tickMs);
    const at = this.#tickZero + tick * this.#tickMs + this.#lateMs;
    for (const event of events) this.#happened(event, at);
    if (this.effects.length) this.effects = this.effects.filter((effect) => now - effect.at < EFFECT_MS);
  }

  /** Seconds the match has run, by its ticks. */
  get elapsedS() {
    return ((this.#tick - this.#startTick) * this.#tickMs) / 1000;
  }

  /** Ours, as last told; 0 while destroyed. */
  get hitPoints() {
    return this.#tanks.get(this.slot)?.hitPoints ?? 0;
  }

  /** @returns {TankView | undefined} one tank as it is shown at `now` */
  tank(slot, now) {
    const track = this.#tanks.get(slot);
    return track && this.#view(slot, track, now);
  }

  /** @returns {TankView[]} every tank as it is shown at `now` */
  tanks(now) {
    return [...this.#tanks].map(([slot, track]) => this.#view(slot, track, now));
  }

  /**
   * Living tanks out of our area, where they last were.
   * @returns {{slot: number, x: number, y: number, hitPoints: number}[]}
   */
  distant() {
    const unseen = [...this.#far].filter(([slot]) => !this.#tanks.has(slot));
    return unseen.map(([slot, { x, y }]) => ({ slot, x, y, hitPoints: 1 }));
  }

  /** How far in the past tanks are shown. */
  get #lateMs() {
    return Math.max(SHOWN_LATE_MS, this.#every * this.#tickMs + LATE_SPARE_MS);
  }

  #forget(before) {
    for (const [slot, track] of this.#tanks) if (track.told < before) this.#tanks.delete(slot);
    for (const [slot, place] of this.#far) if (place.tick < before) this.#far.delete(slot);
  }

  /** The earliest arrivals tell the server's clock best; later ones only how the delay drifts. */
  #follow(tick, now) {
    const zero = now - tick * this.#tickMs;
    const later = zero - this.#tickZero;
    this.#tickZero = later < 0 ? zero : this.#tickZero + later * DRIFT;
  }

  #place([slot, x_cm, y_cm, heading, aim, hitPoints], tick) {
    let track = this.#tanks.get(slot);
    if (!track || (track.hitPoints <= 0 && hitPoints > 0)) {
      track = { samples: [], hitPoints, hitAt: -Infinity, travelled: 0 };
      this.#tanks.set(slot, track);
    }
    track.hitPoints = hitPoints;
    track.told = tick;
    const { samples } = track;
    const last = samples.at(-1);
    if (last && tick <= last.tick) return;
    const sample = { tick, x: x_cm / 100, y: y_cm / 100, heading, aim };
    const settled = tick - Math.max(this.#every, Math.round(SETTLE_MS / this.#tickMs));
    if (last && last.tick < settled) samples.push({ ...last, tick: settled });
    samples.push(sample);
    if (last) track.travelled += Math.hypot(sample.x - last.x, sample.y - last.y);
    if (samples.length > KEPT_SAMPLES) samples.splice(0, samples.length - KEPT_SAMPLES);
  }

  /** @returns {TankView} */
  #view(slot, track, now) {
    const tick = (now - this.#lateMs - this.#tickZero) / this.#tickMs;
    const { samples, hitPoints, travelled } = track;
    const next = samples.findIndex((sample) => sample.tick > tick);
    const to = samples.at(next);
    const from = next > 0 ? samples[next - 1] : to;
    const share = from === to ? 0 : (tick - from.tick) / (to.tick - from.tick);
    return {
      slot,
      x: from.x + (to.x - from.x) * share,
      y: from.y + (to.y - from.y) * share,
      heading: turned(from.heading, to.heading, share),
      aim: turned(from.aim, to.aim, share),
      hitPoints,
      hitAgeMs: now - track.hitAt,
      travelled,
    };
  }

  #happened(event, at) {
    if (event[0] === "shot") {
      const [, slot, aim, length_cm, target, damage] = event;
      const from = this.#tanks.get(slot)?.samples.at(-1);
      if (!from) return; // out of our area
      const { x, y } = from;
      this.effects.push({ kind: "shot", at, x, y, aim, length: length_cm / 100, slot, hit: target >= 0, damage });
      const track = this.#tanks.get(target);
      if (track) track.hitAt = at;
    } else if (event[0] === "destroyed") {
      const [, slot, by] = event;
      const place = this.#tanks.get(slot)?.samples.at(-1);
      if (place) this.effects.push({ kind: "blast", at, x: place.x, y: place.y, slot });
      this.#lines += 1;
      this.feed = [{ id: this.#lines, victim: slot, by }, ...this.feed].slice(0, FEED_LINES);
    }
  }
}

/** From one angle towards another, the short way round. Degrees. */
function turned(from, to, share) {
  const way = ((to - from + 540) % 360) - 180;
  return from + way * share;
}
