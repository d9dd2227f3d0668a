/** The page: the operator's overview around a Play card, or the arena over all of it. */

import { request } from "./muster.js";
import { Arena } from "./arena/view.js";
import { Boards } from "./boards.js";
import { Operate, useRoute } from "./operate.js";
import { Charts, Matches, MoreCharts, Queues, Servers, Supply, useOverview } from "./overview.js";
import { IDLE, Play } from "./play.js";
import { PlayCard } from "./playview.js";
import { html, render, useEffect, useRef, useState } from "./ui.js";
import { Versions } from "./versions.js";

const GAMES_MS = 10_000; // how soon a newly registered game can be chosen

function App() {
  const [view, publish] = useState(IDLE);
  const play = useRef(null);
  play.current ??= new Play(publish);
  useEffect(() => { play.current.resume(); }, []);
  const playing = view.phase === "playing";
  const route = useRoute();
  const { overview, live, error, history } = useOverview(!playing);
  const games = useArenaGames(!playing);
  if (playing) {
    const leave = () => play.current.reset();
    return html`<${Arena} match=${view.match} connected=${view.connected} onLeave=${leave} />`;
  }
  const header = html`<${Header} live=${live} error=${error} before=${overview !== null} view=${route.view} />`;
  if (route.view !== "overview") return html`${header}<main><${Operate} route=${route} /></main>`;
  return html`
    ${header}
    <main>
      <div class="columns">
        <${PlayCard} view=${view} play=${play.current} games=${games} />
        <${Charts} overview=${overview} history=${history} />
      </div>
      <${MoreCharts} overview=${overview} history=${history} />
      <div class="columns">
        <div>
          <${Queues} games=${overview?.games ?? []} />
          <${Supply} games=${overview?.games ?? []} />
          <${Versions} games=${overview?.games ?? []} />
          <${Matches} matches=${overview?.matches ?? []} />
          <${Servers} launchers=${overview?.servers ?? []} />
        </div>
        <div>
          <${Boards} games=${overview?.games ?? []} player=${view.me?.player} />
        </div>
      </div>
    </main>`;
}

/** @param {{live: boolean, error: string, before: boolean, view: string}} props `before`: it was live already */
function Header({ live, error, before, view }) {
  const state = live ? "Live" : error || before ? "Reconnecting…" : "Connecting…";
  return html`
    <header class="masthead">
      <img src="assets/icon.svg" alt="" width="32" height="32" />
      <h1>Muster</h1>
      <p>Players queue, matches form, one server per match.</p>
      <nav aria-label="More">
        <a href="#/" aria-current=${view === "overview" ? "page" : undefined}>Overview</a>
        <a href="#/operate" aria-current=${view === "overview" ? undefined : "page"}>Operate</a>
        <a href="docs">API</a> <a href="status">Status</a>
      </nav>
      <p class=${live ? "pill live" : "pill"} role="status" title=${error}>${state}</p>
    </header>`;
}

/** The games that a browser can play. @returns {import("./playview.js").Playable[] | null} */
function useArenaGames(watching) {
  const [games, setGames] = useState(null);
  useEffect(() => {
    if (!watching) return undefined;
    const load = () => document.hidden || request("v1/games").then(
      ({ games: all }) => setGames(all.filter(isArena).map(playable)),
      () => {}, // the masthead tells that the server is away
    );
    load();
    const timer = setInterval(load, GAMES_MS);
    return () => clearInterval(timer);
  }, [watching]);
  return games;
}

/** Known to have a client here: the built-in arena, and whose WebSocket port `arena` speaks its protocol. */
function isArena({ spec }) {
  const speaks = spec.server.arena || spec.server.ports?.some(({ name, protocol }) => name === "arena" && protocol === "ws");
  return Boolean(speaks) && spec.accepting !== false;
}

/** @returns {import("./playview.js").Playable} */
function playable({ id, spec: { name, teams, players_per_match } }) {
  const seats = (teams ?? []).reduce((sum, team) => sum + team.max_players, 0);
  return { id, name: name || id, players: players_per_match ?? seats };
}

render(html`<${App} />`, document.getElementById("app"));
