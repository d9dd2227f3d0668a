/** Leaderboards: the best of a game by score, activity or rating, now or in a season that is over, with one's own row. */

import { request } from "./muster.js";
import { BUILT_IN, html, useEffect, useState } from "./ui.js";

const REFRESH_MS = 3000;
const ABOUT_MS = 30_000; // how soon a new season, or a changed registration, is seen
const KINDS = [["score", "Score"], ["activity", "Activity"], ["rating", "Rating"]];
const UNITS = { score: "Best score", activity: "Actions", rating: "Rating" };
const NOTHING = { modes: null, seasons: [] };

/**
 * @typedef {{rank: number, player: string, name: string, score: number}} Entry
 * @param {{games: {id: string, name: string}[], player?: string}} props
 */
export function Boards({ games, player }) {
  const [game, setGame] = useState("");
  const shown = [game, BUILT_IN, games[0]?.id].find((wanted) => games.some(({ id }) => id === wanted));
  return html`
    <section class="card" aria-labelledby="boards-title">
      <header>
        <h2 id="boards-title">Leaderboard</h2>
        ${games.length > 1 && html`
          <select aria-label="Game" value=${shown} onChange=${(event) => setGame(event.target.value)}>
            ${games.map(({ id, name }) => html`<option key=${id} value=${id}>${name || id}</option>`)}
          </select>`}
      </header>
      ${shown && html`<${BoardsOf} key=${shown} game=${shown} player=${player} />`}
    </section>`;
}

/** The boards of one game; what it has none of cannot be chosen. */
function BoardsOf({ game, player }) {
  const [kind, setKind] = useState("score");
  const [mode, setMode] = useState("");
  const [season, setSeason] = useState("");
  const { modes, seasons } = useAbout(game);
  const kinds = KINDS.filter(([id]) => id !== "rating" || modes);
  const past = kind === "activity" ? "" : season;
  const played = kind === "rating" && modes?.length ? mode || modes[0] : "";
  return html`
    <div class="row">
      <div class="switch" role="group" aria-label="Counted by">
        ${kinds.map(([id, title]) => html`
          <button key=${id} aria-pressed=${id === kind} onClick=${() => setKind(id)}>${title}</button>`)}
      </div>
      ${played && html`
        <select aria-label="Mode" value=${played} onChange=${(event) => setMode(event.target.value)}>
          ${modes.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
        </select>`}
      ${kind !== "activity" && seasons.length > 0 && html`
        <select aria-label="Season" value=${season} onChange=${(event) => setSeason(event.target.value)}>
          <option value="">This season</option>
          ${seasons.map((number) => html`<option key=${number} value=${number}>Season ${number}</option>`)}
        </select>`}
    </div>
    <${Board} key=${`${kind}/${played}/${past}`} game=${game} board=${kind} mode=${played} season=${past} top=${10}
      player=${player} />`;
}

/**
 * One board, kept up to date while it is in sight.
 * @param {{game: string, board: string, mode?: string, season?: string, top: number, player?: string,
 *   caption?: string}} props
 */
export function Board({ game, board, mode = "", season = "", top, player, caption }) {
  const { entries, own, error } = useBoard(game, board, mode, season, top, player);
  if (error) return html`<p class="empty">${error}</p>`;
  if (!entries) return html`<p class="empty">Loading…</p>`;
  if (!entries.length && season) return html`<p class="empty">No one was on this board.</p>`;
  if (!entries.length) return html`<p class="empty">No one is on this board yet: finish a match to be its first.</p>`;
  const below = own?.rank > entries.length;
  return html`
    <table>
      <caption class=${caption ? "" : "visually-hidden"}>${caption ?? `Best by ${board}`}</caption>
      <thead><tr><th scope="col" class="rank">#</th><th scope="col">Player</th>
        <th scope="col" class="number">${UNITS[board]}</th></tr></thead>
      <tbody>
        ${entries.map((entry) => html`<${Row} key=${entry.player} ...${entry} own=${entry.player === player} />`)}
        ${below && html`<${Row} key="own" rank=${own.rank} name="You" score=${own.score} own=${true} />`}
      </tbody>
    </table>`;
}

/** @param {Entry & {own: boolean}} props */
function Row({ rank, name, score, own }) {
  return html`
    <tr class=${own ? "own" : ""}>
      <td>${rank}</td><th scope="row">${name || "someone"}</th><td class="number">${score.toLocaleString("en")}</td>
    </tr>`;
}

/**
 * What boards a game has: the modes of its ratings (null: it has no ratings), and its seasons that are over.
 * @returns {{modes: string[] | null, seasons: number[]}}
 */
function useAbout(game) {
  const [about, setAbout] = useState(NOTHING);
  useRepeated(ABOUT_MS, [game], async (signal) => {
    const path = `v1/games/${encodeURIComponent(game)}`;
    const [{ spec }, { ended }] = await Promise.all([request(path, { signal }), request(`${path}/seasons`, { signal })]);
    setAbout({ modes: spec.rating ? spec.rating.modes ?? [] : null, seasons: ended.map(({ season }) => season) });
  });
  return about;
}

/** @returns {{entries?: Entry[], own?: {rank: number, score: number}, error?: string}} */
function useBoard(game, board, mode, season, top, player) {
  const [shown, show] = useState({});
  useRepeated(REFRESH_MS, [game, board, mode, season, top, player], async (signal) => {
    const query = new URLSearchParams({
      top: String(top), ...(player && { player }), ...(mode && { mode }), ...(season && { season }),
    });
    const answer = await request(`v1/games/${encodeURIComponent(game)}/boards/${board}?${query}`, { signal });
    show({ entries: answer.entries, own: answer.player ?? undefined });
  }, (error) => {
    // What is on the screen stays there; only an empty board says why it is empty.
    show((before) => (before.entries ? before : { error: error.message }));
  });
  return shown;
}

/** Load at once and again every `ms`, while the tab is in sight; anew where `what` changes. */
function useRepeated(ms, what, load, failed = () => {}) {
  useEffect(() => {
    const stop = new AbortController();
    const once = () => document.hidden || load(stop.signal).catch((error) => stop.signal.aborted || failed(error));
    once();
    const timer = setInterval(once, ms);
    return () => { clearInterval(timer); stop.abort(); };
  }, what);
}
