/** The Play card: choose a game, watch the ticket, see the result. */

import { Board } from "./boards.js";
import { BUILT_IN, duration, html, useEffect, useRef, useState } from "./ui.js";

const STEPS = [
  ["QUEUED", "Queued", "in line"],
  ["SEARCHING", "Searching", "looking for players"],
  ["PLACING", "Placing", "starting your server"],
  ["COMPLETED", "Playing", "joining"],
];
const OVER_BECAUSE = {
  "score-limit": "The score limit was reached.",
  "time-limit": "Time is up.",
  empty: "Everybody left.",
  stopped: "The server was stopped.",
  drained: "The operator empties this installation.",
  too_long: "The match reached its longest time.",
};

/**
 * @typedef {{id: string, name: string, players: number}} Playable a game for browsers, and how many it takes
 * @param {{view: import("./play.js").PlayView, play: import("./play.js").Play, games: Playable[] | null}} props
 *   `games` is null while they are not known
 */
export function PlayCard({ view, play, games }) {
  const card = useRef(null);
  const before = useRef(view.phase);
  useEffect(() => {
    // What had the focus is gone with its phase; whoever listens to the page goes on at the new heading.
    if (before.current !== view.phase) card.current.querySelector("h2").focus();
    before.current = view.phase;
  }, [view.phase]);
  return html`
    <section class="card play" aria-labelledby="play-title" ref=${card}>
      ${view.phase === "result" ? html`<${Result} view=${view} play=${play} />`
        : view.phase === "idle" ? html`<${Start} view=${view} play=${play} games=${games} />`
        : html`<${Waiting} view=${view} play=${play} />`}
      <p class=${view.failed ? "notice bad" : "notice"} role="status">${view.notice}</p>
    </section>`;
}

function Start({ view, play, games }) {
  const [chosen, choose] = useState(view.game || BUILT_IN);
  const game = games?.find(({ id }) => id === chosen) ?? games?.[0];
  const submit = (event) => {
    event.preventDefault();
    play.start(game.id);
  };
  return html`
    <h2 id="play-title" tabindex="-1">${game?.name ?? "Tanks"}</h2>
    <p>Press Play in ${game?.players === 2 || !game ? "two" : game.players} browser tabs. Each is a guest; they are
      matched, a server process starts for them alone, and when the match is over it is gone.</p>
    <form onSubmit=${submit} class="start">
      <button type="submit" class="primary" disabled=${!game}>Play</button>
      ${games?.length > 1 && html`
        <label>Game
          <select value=${game.id} onChange=${(event) => choose(event.target.value)}>
            ${games.map(({ id, name, players }) => html`
              <option key=${id} value=${id}>${name} (${players} players)</option>`)}
          </select>
        </label>`}
      ${games?.length === 0 && html`
        <small>No game with the built-in arena is registered: POST one to /v1/games.</small>`}
    </form>
    <p class="keys">
      <kbd>W</kbd><kbd>A</kbd><kbd>S</kbd><kbd>D</kbd> drive
      <span><kbd>mouse</kbd> aim</span> <span><kbd>Space</kbd> shoot</span> <span><kbd>Shift</kbd> sprint</span>
    </p>`;
}

function Waiting({ view: { ticket, me, why }, play }) {
  const asked = ticket?.status === "REQUIRES_ACCEPTANCE" ? ticket.acceptance : undefined;
  const reached = STEPS.findIndex(([status]) => status === (asked ? "SEARCHING" : ticket?.status));
  return html`
    <h2 id="play-title" tabindex="-1">${me ? `Hello, ${me.name}` : "Making a guest account…"}</h2>
    <ol class="steps" aria-label="Your ticket">
      ${STEPS.map(([status, title, text], index) => html`
        <li key=${status} class=${index < reached ? "done" : index === reached ? "now" : ""}
            aria-current=${index === reached ? "step" : undefined}>
          <b>${title}</b> <small>${text}</small>
        </li>`)}
    </ol>
    <p class="visually-hidden" role="status">${asked ? "Match found" : STEPS[reached]?.[1] ?? ""}</p>
    ${asked && html`<${Question} asked=${asked} play=${play} />`}
    ${!asked && why && html`<p class="why"><b>Not yet:</b> ${why}</p>`}
    ${!asked && reached < 2 && html`<p>Alone here? Open this page in further tabs and press Play there too.</p>`}
    <div class="row">
      ${!asked && html`<button onClick=${() => play.cancel()} disabled=${!ticket || reached >= 3}>Cancel</button>`}
      ${ticket && html`<small>Ticket <code>${ticket.id}</code></small>`}
    </div>`;
}

/** @param {{asked: import("./play.js").Acceptance, play: import("./play.js").Play}} props */
function Question({ asked, play }) {
  const [now, tick] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => tick(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return html`
    <p><b>Match found.</b> ${asked.accepted} of ${asked.players} players accepted;
      ${" "}<span role="timer">${duration((Date.parse(asked.until) - now) / 1000)}</span> left.</p>
    <div class="row">
      <button class="primary" onClick=${() => play.answer(true)} disabled=${asked.yours}>
        ${asked.yours ? "Accepted" : "Accept"}</button>
      <button onClick=${() => play.answer(false)}>Decline</button>
    </div>`;
}

function Result({ view: { result, me, game }, play }) {
  const own = result.players.find(({ player }) => player === me.player);
  const how = verdict(result, own);
  return html`
    <h2 id="play-title" tabindex="-1" class=${`verdict ${how}`}>${TITLES[how]}</h2>
    <p>${OVER_BECAUSE[result.reason] ?? `The match is over (${result.reason}).`}
      ${" "}It lasted ${duration((result.ended_at_ms - result.started_at_ms) / 1000)}.</p>
    <div class="result">
      <table>
        <caption>Result</caption>
        <thead><tr><th scope="col" class="rank">#</th><th scope="col">Player</th>
          <th scope="col" class="number">Score</th><th scope="col" class="number">Deaths</th>
          <th scope="col" class="number">Damage</th></tr></thead>
        <tbody>
          ${result.players.map((player) => html`
            <tr key=${player.player} class=${player === own ? "own" : ""}>
              <td>${player.rank}</td>
              <th scope="row">${player.name} <small>${player.team}</small></th>
              <td class="number">${player.score}</td>
              <td class="number">${player.deaths}</td><td class="number">${Math.round(player.damage)}</td>
            </tr>`)}
        </tbody>
      </table>
      <${Board} game=${game} board="score" top=${5} player=${me.player} caption="Leaderboard now" />
    </div>
    <div class="row">
      <button class="primary" onClick=${() => play.start(game)}>Play again</button>
      <button onClick=${() => play.reset()}>Back</button>
    </div>`;
}

const TITLES = { won: "You won", lost: "You lost", draw: "A draw" };

/** @returns {"won" | "lost" | "draw"} */
function verdict({ winner }, own) {
  if (!winner) return "draw";
  return winner === own?.player || (own?.team && winner === own.team) ? "won" : "lost";
}
