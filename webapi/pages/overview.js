/** What runs now: queues, matches and servers, as the overview stream tells them. */

import { follow } from "./muster.js";
import { Chart } from "./charts.js";
import { path } from "./operator.js";
import { duration, html, mebibytes, shortId, useEffect, useState } from "./ui.js";

const WINDOW_S = 180; // the charts' width
const SHOWN_ROWS = 5;
const NO_SERVERS = "No server is running: one starts for each match and ends with it.";
const STOPPED = { live: false, error: "" };

/**
 * @typedef {{median_s: number, p90_s: number}} Waits of the tickets matched in the last minutes
 * @typedef {{id: string, name: string, online: number, waiting: number, oldest_wait_s: number, live: number, matched?: number,
 *   waits?: Waits, packs?: Packs, supply?: SupplyRow}} GameRow
 * @typedef {{waiting: number, oldest_s: number, executed: number, failed: number, skipped: number}} Packs of commands
 * @typedef {{wanted: number, ready: number, starting: number, why: string, matches: number[], wrong: number,
 *   idle_s_per_match: number}} SupplyRow servers without a match, and what they came to
 * @typedef {{id: string, game: string, state: string, reason: string, players: number, created_at: string}} MatchRow
 * @typedef {{match: string, game: string, pid: number, rss_bytes: number, state: string}} ServerRow
 * @typedef {{launcher: string, total: number, servers: ServerRow[]}} Launcher
 * @typedef {{games: GameRow[], matches: MatchRow[], servers: Launcher[], readers: {name: string, behind_s: number}[]}} Overview
 * @typedef {{times: number[], [name: string]: (number | null)[]}} History one entry a second, by names of DRAWN
 */

/**
 * Follow the overview while `watching` and while the tab is in sight: a browser opens only six connections to a
 * server, and hidden tabs must leave them to the ones that play.
 *
 * @param {boolean} watching
 * @returns {{overview: Overview | null, live: boolean, error: string, history: History}}
 */
export function useOverview(watching) {
  const visible = useVisible();
  const [overview, setOverview] = useState(null);
  const [state, setState] = useState(STOPPED);
  useEffect(() => {
    if (!watching || !visible) return undefined;
    const stop = new AbortController();
    follow("v1/overview/events", {
      signal: stop.signal,
      onEvent: ({ data }) => setOverview(data),
      onLive: (live, error) => setState({ live, error: error?.message ?? "" }),
    }).catch((error) => setState({ live: false, error: error.message }));
    return () => { stop.abort(); setState(STOPPED); };
  }, [watching, visible]);
  return { overview, ...state, history: useHistory(state.live ? overview : null) };
}

function useVisible() {
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return visible;
}

/** What is drawn over time: its title, what it is now, its colour. `null` where nothing is known. */
const DRAWN = {
  waiting: ["Waiting tickets", ({ games }) => total(games, "waiting"), "--amber"],
  live: ["Live matches", ({ games }) => total(games, "live"), "--accent"],
  wait: ["Usual wait, s", ({ games }) => most(games.map(({ waits }) => waits?.median_s ?? 0)), "--amber"],
  servers: ["Servers", ({ servers }) => total(servers, "total"), "--accent"],
  failed: ["Failed, since here", null, "--bad"],
  lag: ["Events behind, s", ({ readers }) => most((readers ?? []).map(({ behind_s }) => behind_s)), "--amber"],
};
const COUNTED = ["matches_fail", "tickets_gave_up", "tickets_timed_out"];

/** The stream speaks only when something changes; a chart needs an even beat. */
function useHistory(overview) {
  const [history, setHistory] = useState({ times: [], failedAtFirst: null });
  useEffect(() => {
    const sample = () => setHistory((before) => {
      const failures = overview && overview.games.reduce(
        (sum, { stats }) => sum + COUNTED.reduce((own, name) => own + (stats?.[name] ?? 0), 0), 0);
      const failedAtFirst = before.failedAtFirst ?? failures;
      const next = { times: [...before.times, Date.now() / 1000].slice(-WINDOW_S), failedAtFirst };
      for (const [name, [, now]] of Object.entries(DRAWN)) {
        const value = overview && (name === "failed" ? Math.max(0, failures - failedAtFirst) : now(overview));
        next[name] = [...(before[name] ?? []), value].slice(-WINDOW_S);
      }
      return next;
    });
    const timer = setInterval(sample, 1000);
    return () => clearInterval(timer);
  }, [overview]);
  return history;
}

const total = (rows, field) => rows.reduce((sum, row) => sum + row[field], 0);
const most = (values) => Math.max(0, ...values);

/** @param {{overview: Overview | null, history: History}} props */
export function Charts({ overview, history }) {
  return html`
    <section class="card charts" aria-label="The last minutes">
      ${["waiting", "live"].map((name) => html`<${Drawn} key=${name} name=${name} overview=${overview} history=${history} />`)}
    </section>`;
}

/** What an operator looks at besides. @param {{overview: Overview | null, history: History}} props */
export function MoreCharts({ overview, history }) {
  const states = new Map();
  for (const { state } of overview?.servers.flatMap(({ servers }) => servers) ?? []) states.set(state, (states.get(state) ?? 0) + 1);
  return html`
    <section class="card strip-charts" aria-label="How it goes">
      ${["wait", "servers", "failed", "lag"].map((name) => html`
        <div key=${name}>
          <${Drawn} name=${name} overview=${overview} history=${history} />
          ${name === "servers" && states.size > 0 && html`
            <p><small>${[...states].map(([state, n]) => `${n} ${state}`).join(", ")}</small></p>`}
          ${name === "lag" && html`
            <p><small>${(overview?.readers ?? []).map((one) => `${one.name} ${one.behind_s} s`).join(", ")
              || "nobody carries or counts events"}</small></p>`}
        </div>`)}
    </section>`;
}

function Drawn({ name, overview, history }) {
  const [title, now, colour] = DRAWN[name];
  const value = now && overview ? now(overview) : history[name]?.at(-1) ?? 0;
  return html`
    <${Chart} title=${title} value=${Math.round(value * 10) / 10} times=${history.times} values=${history[name] ?? []}
      windowS=${WINDOW_S} colour=${colour} />`;
}

/** @param {{games: GameRow[]}} props */
export function Queues({ games }) {
  const waiting = games.some((game) => game.waiting > 0);
  const packs = games.some((game) => game.packs);
  return html`
    <${Card} title="Queues" empty=${games.length ? "" : "No game is registered yet: POST one to /v1/games."}>
      <table>
        <thead><tr><th scope="col">Game</th><th scope="col" class="number">Online</th>
          <th scope="col" class="number">Waiting</th>
          <th scope="col" class="number">Oldest wait</th>
          <th scope="col" class="number" title="tickets, in the last five minutes">Matched lately</th>
          <th scope="col" class="number" title="half waited less; nine of ten waited less">Their wait</th>
          ${packs && html`<th scope="col" class="number" title="packs of delayed commands; how long the oldest waits">Packs</th>`}
          <th scope="col" class="number">Live</th></tr></thead>
        <tbody>${games.map((game) => html`
          <tr key=${game.id}>
            <th scope="row">${game.name || game.id} <small>${game.id}</small></th>
            <td class="number">${game.online}</td>
            <td class="number">${game.waiting}</td>
            <td class="number">${game.waiting ? duration(game.oldest_wait_s) : "–"}</td>
            <td class="number">${game.matched ?? "–"}</td>
            <td class="number">${game.waits ? `${briefly(game.waits.median_s)} / ${briefly(game.waits.p90_s)}` : "–"}</td>
            ${packs && html`<td class="number"
              title=${game.packs && `${game.packs.executed} executed, ${game.packs.failed} failed, ${game.packs.skipped} skipped`}>
              ${game.packs ? (game.packs.waiting ? `${game.packs.waiting} / ${duration(game.packs.oldest_s)}` : 0) : "–"}</td>`}
            <td class="number">${game.live}</td>
          </tr>`)}
        </tbody>
      </table>
      ${!waiting && html`<p class="empty">No one is waiting: press Play in two tabs.</p>`}
    <//>`;
}

/** Servers that are there before their match. @param {{games: GameRow[]}} props */
export function Supply({ games }) {
  const supplied = games.filter((game) => game.supply);
  return supplied.length > 0 && html`
    <${Card} title="Supply">
      <table>
        <thead><tr><th scope="col">Game</th><th scope="col" class="number" title="of those wanted">Ready</th>
          <th scope="col">Why</th>
          <th scope="col" class="number" title="matches by the server they got">Early / warm / cold</th>
          <th scope="col" class="number" title="servers started early that no match took">Wrong</th>
          <th scope="col" class="number">Idle a match</th></tr></thead>
        <tbody>${supplied.map(({ id, name, supply }) => html`
          <tr key=${id}>
            <th scope="row">${name || id} <small>${id}</small></th>
            <td class="number">${supply.ready}${supply.starting ? ` + ${supply.starting}` : ""} / ${supply.wanted}</td>
            <td><small>${supply.why}</small></td>
            <td class="number">${supply.matches.join(" / ")}</td>
            <td class="number">${supply.wrong}</td>
            <td class="number">${briefly(supply.idle_s_per_match)}</td>
          </tr>`)}
        </tbody>
      </table>
    <//>`;
}

/** @param {{matches: MatchRow[]}} props */
export function Matches({ matches }) {
  return html`
    <${Card} title="Matches" empty=${matches.length ? "" : "No match yet: two tickets for the same game make one."}>
      <table>
        <thead><tr><th scope="col">Match</th><th scope="col">State</th><th scope="col" class="number">Players</th>
          <th scope="col" class="number">Age</th></tr></thead>
        <tbody>${matches.slice(0, SHOWN_ROWS).map((match) => html`
          <tr key=${match.id}>
            <th scope="row"><${Id} of=${match.id} game=${match.game} /></th>
            <td><${State} state=${match.state} /> <small>${match.reason.replaceAll("_", " ")}</small></td>
            <td class="number">${match.players}</td>
            <td class="number">${duration((Date.now() - Date.parse(match.created_at)) / 1000)}</td>
          </tr>`)}
        </tbody>
      </table>
      <${More} count=${matches.length - SHOWN_ROWS} />
    <//>`;
}

/** @param {{launchers: Launcher[]}} props */
export function Servers({ launchers }) {
  const servers = launchers.flatMap((launcher) => launcher.servers);
  const total = launchers.reduce((sum, launcher) => sum + launcher.total, 0);
  return html`
    <${Card} title="Servers" empty=${servers.length ? "" : NO_SERVERS}>
      <table>
        <thead><tr><th scope="col">Match</th><th scope="col">State</th><th scope="col" class="number">Pid</th>
          <th scope="col" class="number">Memory</th></tr></thead>
        <tbody>${servers.slice(0, SHOWN_ROWS).map((server) => html`
          <tr key=${server.match}>
            <th scope="row"><${Id} of=${server.match} game=${server.game} /></th>
            <td><${State} state=${server.state} /></td>
            <td class="number">${server.pid}</td>
            <td class="number">${server.rss_bytes ? mebibytes(server.rss_bytes) : "–"}</td>
          </tr>`)}
        </tbody>
      </table>
      <${More} count=${total - SHOWN_ROWS} />
    <//>`;
}

/** Waits are often below a second, where a whole one would say nothing. */
function briefly(seconds) {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds);
}

function Card({ title, empty, children }) {
  const id = `${title.toLowerCase()}-title`;
  return html`
    <section class="card" aria-labelledby=${id}>
      <h2 id=${id}>${title}</h2>
      ${empty ? html`<p class="empty">${empty}</p>` : children}
    </section>`;
}

function Id({ of, game }) {
  const name = html`<code title=${of}>${shortId(of)}</code>`;
  const story = of.startsWith("m-") ? html`<a href=${`#/match/${path(game, of)}`}>${name}</a>` : name;
  return html`${story} <small>${game}</small>`;
}

function State({ state }) {
  return html`<span class=${`state ${state.toLowerCase()}`}>${state}</span>`;
}

function More({ count }) {
  return count > 0 && html`<p class="empty">and ${count} more</p>`;
}
