/** The story of a match or a player: what happened, in order, as a strip of time and as a list. */

import { ask, path } from "./operator.js";
import { Sure } from "./sure.js";
import { html, shortId, useEffect, useState } from "./ui.js";

const REFRESH_MS = 3000;
const SOURCES = ["match", "ticket", "play", "presence", "login", "flag"];
const LIVE = ["PLACING", "RUNNING", "REQUIRES_ACCEPTANCE"];
const WAITING = ["QUEUED", "SEARCHING", "REQUIRES_ACCEPTANCE", "PLACING"];
const ROWS_MOST = 300; // shown of a long story, the latest
const WORDS = { tank_moved: "moves", tank_shot: "shots", tank_took_damage: "hits", game_action: "actions" };
const WIDTH = 1000;
// What lies between two events is a phase of the match; the first event that is there ends it.
const PHASES = [
  ["waiting", ["ticket_created"], ["new_match_created"], "--amber"],
  ["starting", ["new_match_created"], ["session_created", "match_failed"], "--quiet"],
  ["playing", ["session_created"], ["session_removed"], "--accent"],
];

/**
 * @typedef {{at: string, event: string, source: string, player?: string, name?: string, ticket?: string, match?: string,
 *   game?: string, reason?: string, detail?: object}} StoryEvent
 * @typedef {{events: StoryEvent[], partial: boolean, state?: string, matches?: string[], name?: string}} Story
 * @param {{of: {kind: string, game: string, id: string}, admin: boolean}} props
 */
export function StoryOf({ of, admin }) {
  const { story, error, again } = useStory(of, admin);
  const [hidden, hide] = useState([]);
  if (error) return html`<section class="card story"><p class="notice bad" role="alert">${error}</p></section>`;
  if (!story) return html`<section class="card story"><p class="empty">Loading…</p></section>`;
  const there = SOURCES.filter((source) => story.events.some((one) => one.source === source));
  const shown = story.events.filter((one) => !hidden.includes(one.source));
  const toggle = (source) => hide(hidden.includes(source) ? hidden.filter((one) => one !== source) : [...hidden, source]);
  return html`
    <section class="card story" aria-labelledby="story-title">
      <header>
        <h2 id="story-title">${of.kind === "match" ? "Match" : story.name || "Player"} <code>${of.id}</code></h2>
        <span>${story.state && html`<b class=${`state ${story.state.toLowerCase()}`}>${story.state}</b>`}</span>
      </header>
      <${Actions} of=${of} story=${story} admin=${admin} done=${again} />
      <${Strip} events=${story.events} whole=${of.kind === "match"} />
      <div class="row filters" role="group" aria-label="Shown">
        ${there.map((source) => html`
          <button key=${source} class=${`filter of-${source}`} aria-pressed=${!hidden.includes(source)}
            onClick=${() => toggle(source)}>${source}</button>`)}
      </div>
      ${story.partial && html`<p class="notice">More was logged than is looked through: something may be missing here.</p>`}
      ${shown.length > ROWS_MOST && html`<p class="empty">The latest ${ROWS_MOST} of ${shown.length}.</p>`}
      <ol class="events">
        ${shown.slice(-ROWS_MOST).map((one, n) => html`<${Row} key=${`${one.at}${one.event}${n}`} one=${one} of=${of} />`)}
      </ol>
      ${!shown.length && html`<p class="empty">Nothing is known of it any more, or nothing has happened yet.</p>`}
    </section>`;
}

/** @param {{one: StoryEvent, of: {kind: string, id: string, game: string}}} props */
function Row({ one, of }) {
  const game = one.game || of.game;
  return html`
    <li class=${`event of-${one.source}`}>
      <time datetime=${one.at} title=${one.at}>${one.at.slice(11, 23)}</time>
      <span class="what">${one.event.replaceAll("_", " ")}</span>
      <span class="about">
        ${(one.player || one.name) && html`<${Who} id=${one.player ?? ""} name=${one.name ?? ""} game=${game} />`}
        ${one.match && one.match !== of.id && html` <a href=${`#/match/${path(game, one.match)}`}>match ${shortId(one.match)}</a>`}
        ${one.reason && html` <em>${one.reason.replaceAll("_", " ")}</em>`}
        ${details(one.detail).map(([name, value]) => html` <small key=${name}>${name.replaceAll("_", " ")} ${value}</small>`)}
      </span>
    </li>`;
}

/** A player by name, with the way to his story. @param {{id: string, name: string, game: string}} props */
export function Who({ id, name, game }) {
  const shown = name || shortId(id);
  return id.startsWith("p-") && game
    ? html`<a class="who" href=${`#/player/${path(game, id)}`} title=${id}>${shown}</a>`
    : html`<span class="who" title=${id}>${shown}</span>`;
}

/** What is short enough for a line. */
function details(detail = {}) {
  return Object.entries(detail)
    .filter(([, value]) => value !== "" && value !== null && typeof value !== "object")
    .map(([name, value]) => [WORDS[name] ?? name, typeof value === "number" ? value.toLocaleString("en") : shortId(String(value))]);
}

/** All events on one line of time, and above it the phases of a match. */
function Strip({ events, whole }) {
  if (events.length < 2) return null;
  const times = events.map(({ at }) => Date.parse(at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (ms) => ((ms - first) / Math.max(1, last - first)) * (WIDTH - 8) + 4;
  const phases = whole ? phasesOf(events, last) : [];
  return html`
    <svg class="strip" viewBox=${`0 0 ${WIDTH} 54`} preserveAspectRatio="none" role="img"
      aria-label=${`${events.length} events within ${span(last - first)}`}>
      ${phases.map(({ name, from, to, colour }) => html`
        <rect key=${name} x=${x(from)} y="4" width=${Math.max(2, x(to) - x(from))} height="12" rx="3"
          style=${`fill: var(${colour})`}><title>${`${name} ${span(to - from)}`}</title></rect>`)}
      <line x1="0" x2=${WIDTH} y1="34" y2="34" />
      ${events.map((one, n) => html`
        <rect key=${n} class=${`tick of-${one.source}`} x=${x(times[n]) - 1.5} y=${one.source === "flag" ? 22 : 26} width="3"
          height=${one.source === "flag" ? 24 : 16}><title>${`${one.at.slice(11, 23)} ${one.event}`}</title></rect>`)}
    </svg>
    <p class="phases">
      <small>${clock(first)}</small>
      ${phases.map(({ name, from, to, colour }) => html`
        <span key=${name}><i style=${`background: var(${colour})`}></i>${name} ${span(to - from)}</span>`)}
      <small>${clock(last)}</small>
    </p>`;
}

function phasesOf(events, last) {
  const at = (names) => events.find(({ event }) => names.includes(event));
  return PHASES.flatMap(([name, begins, ends, colour]) => {
    const [begin, end] = [at(begins), at(ends)];
    return begin ? [{ name, colour, from: Date.parse(begin.at), to: end ? Date.parse(end.at) : last }] : [];
  }).filter(({ from, to }) => to >= from);
}

const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
const span = (ms) => (ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : ms < 120_000 ? `${Math.round(ms / 1000)} s`
  : `${Math.round(ms / 60_000)} min`);

/** What an admin may do: each asks once more. */
function Actions({ of, story, admin, done }) {
  if (!admin) return null;
  const latest = new Map(story.events.filter(({ ticket }) => ticket).map((one) => [one.ticket, one]));
  const waiting = [...latest.values()].filter(({ detail }) => WAITING.includes(detail?.status));
  const live = of.kind === "match" && LIVE.includes(story.state);
  return html`
    <div class="row actions">
      ${live && story.state === "RUNNING" && html`
        <${Sure} text="End this match" sure="End it for all players" done=${done}
          act=${() => ask(`v1/matches/${path(of.game, of.id)}`, { method: "DELETE" })} />`}
      ${waiting.slice(0, 10).map(({ ticket, name, player, game }) => html`
        <${Sure} key=${ticket} text=${`Cancel the ticket of ${name || shortId(player ?? "")}`} sure="Cancel it" done=${done}
          act=${() => ask(`v1/tickets/${path(game || of.game, ticket)}`, { method: "DELETE" })} />`)}
    </div>`;
}

/** Loaded again while it goes on. @returns {{story?: Story, error?: string, again: () => void}} */
function useStory({ kind, game, id }, admin) {
  const [shown, show] = useState({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    const load = async () => {
      try {
        const story = await (kind === "match" ? ofMatch(game, id) : ofPlayer(game, id, admin));
        if (!over) show({ story });
      } catch (error) {
        if (!over) show((before) => (before.story ? before : { error: error.message }));
      }
    };
    load();
    const timer = setInterval(() => document.hidden || load(), REFRESH_MS);
    return () => { over = true; clearInterval(timer); };
  }, [kind, game, id, admin, turn]);
  return { ...shown, again: () => setTurn(turn + 1) };
}

const ofMatch = (game, id) => ask(`v1/matches/${path(game, id)}/story`);

/** In one game; an admin sees how the player came in, too. */
async function ofPlayer(game, id, admin) {
  const [inGame, account] = await Promise.all([
    ask(`v1/games/${path(game)}/players/${path(id)}/story`),
    admin ? ask(`v1/players/${path(id)}/story`) : { events: [], partial: false },
  ]);
  const known = new Set(inGame.events.map((one) => `${one.at}${one.event}${one.game ?? ""}`));
  const more = account.events.filter((one) => !known.has(`${one.at}${one.event}${one.game ?? ""}`));
  const events = [...inGame.events, ...more].sort((a, b) => (a.at < b.at ? -1 : 1));
  return { ...inGame, events, partial: inGame.partial || account.partial };
}
