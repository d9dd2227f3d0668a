/** Leaderboards: the best of a game by activity or score, with one player's own row. */

import { request } from "./api.js";
import { BUILT_IN, html, useEffect, useState } from "./ui.js";

const REFRESH_MS = 3000;
const KINDS = [["score", "Score"], ["activity", "Activity"]];

/**
 * @typedef {{rank: number, player: string, name: string, score: number}} Entry
 * @param {{games: {id: string, name: string}[], player?: string}} props
 */
export function Boards({ games, player }) {
  const [game, setGame] = useState("");
  const [kind, setKind] = useState("score");
  const shown = [game, BUILT_IN, games[0]?.id].find((wanted) => games.some(({ id }) => id === wanted));
  return html`
    <section class="card" aria-labelledby="boards-title">
      <header>
        <h2 id="boards-title">Leaderboard</h2>
        <div class="row">
          ${games.length > 1 && html`
            <select aria-label="Game" value=${shown} onChange=${(event) => setGame(event.target.value)}>
              ${games.map(({ id, name }) => html`<option key=${id} value=${id}>${name || id}</option>`)}
            </select>`}
          <div class="switch" role="group" aria-label="Counted by">
            ${KINDS.map(([id, title]) => html`
              <button key=${id} aria-pressed=${id === kind} onClick=${() => setKind(id)}>${title}</button>`)}
          </div>
        </div>
      </header>
      ${shown && html`<${Board} key=${`${shown}/${kind}`} game=${shown} board=${kind} top=${10} player=${player} />`}
    </section>`;
}

/**
 * One board, kept up to date while it is in sight.
 * @param {{game: string, board: string, top: number, player?: string, caption?: string}} props
 */
export function Board({ game, board, top, player, caption }) {
  const { entries, own, error } = useBoard(game, board, top, player);
  if (error) return html`<p class="empty">${error}</p>`;
  if (!entries) return html`<p class="empty">Loading…</p>`;
  if (!entries.length) return html`<p class="empty">No one is on this board yet: finish a match to be its first.</p>`;
  const below = own?.rank > entries.length;
  return html`
    <table>
      <caption class=${caption ? "" : "visually-hidden"}>${caption ?? `Best by ${board}`}</caption>
      <thead><tr><th scope="col" class="rank">#</th><th scope="col">Player</th>
        <th scope="col" class="number">${board === "score" ? "Best score" : "Actions"}</th></tr></thead>
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

/** @returns {{entries?: Entry[], own?: {rank: number, score: number}, error?: string}} */
function useBoard(game, board, top, player) {
  const [shown, show] = useState({});
  useEffect(() => {
    const stop = new AbortController();
    const query = new URLSearchParams({ top: String(top), ...(player && { player }) });
    const load = async () => {
      if (document.hidden) return;
      try {
        const path = `v1/games/${encodeURIComponent(game)}/boards/${board}?${query}`;
        const answer = await request(path, { signal: stop.signal });
        show({ entries: answer.entries, own: answer.player ?? undefined });
      } catch (error) {
        // What is on the screen stays there; only an empty board says why it is empty.
        if (!stop.signal.aborted) show((before) => (before.entries ? before : { error: error.message }));
      }
    };
    load();
    const timer = setInterval(load, REFRESH_MS);
    return () => { clearInterval(timer); stop.abort(); };
  }, [game, board, top, player]);
  return shown;
}
