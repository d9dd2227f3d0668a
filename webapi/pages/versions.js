/** Versions of games: what new matches get, and how it does. */

import { html } from "./ui.js";

/**
 * @typedef {{version: number, canary: boolean, percent: number, judged: number, faults: number}} VersionRow
 * @typedef {{id: string, name: string, versions?: VersionRow[], last_canary?: string}} VersionedGame
 */

/** Games that changed since they were registered. @param {{games: VersionedGame[]}} props */
export function Versions({ games }) {
  const changed = games.filter((game) => game.versions);
  return changed.length > 0 && html`
    <section class="card" aria-label="Versions">
      <h2>Versions</h2>
      <table>
        <thead><tr><th scope="col">Game</th><th scope="col" class="number">Version</th>
          <th scope="col" class="number" title="of new matches">Share</th>
          <th scope="col" class="number" title="matches that tell how good it is">Judged</th>
          <th scope="col" class="number" title="of them, failed because of the server">Faults</th>
          <th scope="col">Last canary</th></tr></thead>
        <tbody>${changed.flatMap((game) => game.versions.map((it) => html`
          <tr key=${`${game.id}/${it.version}`}>
            <th scope="row">${game.name || game.id} <small>${game.id}</small></th>
            <td class="number">${it.version}${it.canary && html` <small>canary</small>`}</td>
            <td class="number">${it.percent} %</td>
            <td class="number">${it.judged}</td>
            <td class="number">${it.faults}</td>
            <td><small>${it.canary ? "" : game.last_canary}</small></td>
          </tr>`))}
        </tbody>
      </table>
    </section>`;
}
