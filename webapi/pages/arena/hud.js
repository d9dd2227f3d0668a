/** The instruments around the arena: scores, clock, kill feed, bars. Views of the state, nothing more. */

import { html } from "../ui.js";
import { colourOf } from "./palette.js";

const SHOWN_PLAYERS = 8;

/** @typedef {{state: import("./state.js").ArenaState, palette: Record<string, string>}} Props */

/** Best first, at most eight rows; ours is marked. @param {Props} props */
export function Scores({ state, palette }) {
  const limit = state.world.score_limit;
  const rows = [...state.players].sort(([, a], [, b]) => b.score - a.score || a.deaths - b.deaths);
  return html`
    <table class="scores">
      <caption class="visually-hidden">${limit ? `Scores, first to ${limit}` : "Scores"}</caption>
      <tbody>
        ${rows.slice(0, SHOWN_PLAYERS).map(([slot, player]) => html`
          <tr key=${slot} class=${slot === state.slot ? "own" : ""}>
            <td><${Dot} colour=${colourOf(slot, state, palette)} /></td>
            <th scope="row">${player.name}</th>
            <td class="number">${player.score}</td>
          </tr>`)}
      </tbody>
    </table>`;
}

/** Time left, or time played where the match has no limit. @param {Props} props */
export function Clock({ state }) {
  const limit = state.world.time_limit_s;
  const seconds = Math.max(0, limit ? Math.ceil(limit - state.elapsedS) : Math.floor(state.elapsedS));
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const hurry = limit && seconds <= 10;
  const label = limit ? "Time left" : "Time played";
  return html`<div class=${hurry ? "clock hurry" : "clock"} role="timer" aria-label=${label}>${text}</div>`;
}

/** Who destroyed whom. @param {Props} props */
export function Feed({ state, palette }) {
  const name = (slot) => html`
    <b><${Dot} colour=${colourOf(slot, state, palette)} /> ${state.players.get(slot)?.name ?? "someone"}</b>`;
  return html`
    <ol class="feed" aria-live="polite" aria-label="What happened">
      ${state.feed.map(({ id, victim, by }) => html`<li key=${id}>${name(by)} destroyed ${name(victim)}</li>`)}
    </ol>`;
}

/** Hit points, mana, stamina. @param {Props} props */
export function Bars({ state }) {
  const { world, you } = state;
  return html`
    <div class="bars">
      <${Bar} kind="health" label="Hit points" value=${state.hitPoints} most=${world.max_hit_points} />
      <${Bar} kind="mana" label="Mana" value=${you.mana} most=${world.max_mana} />
      <${Bar} kind="stamina" label="Stamina" value=${you.stamina} most=${world.max_stamina} />
    </div>`;
}

function Bar({ kind, label, value, most }) {
  const whole = Math.round(value);
  return html`
    <div class=${`bar ${kind}`} role="meter" aria-label=${label}
        aria-valuemin="0" aria-valuemax=${most} aria-valuenow=${whole}>
      <span class="bar-label">${label}</span>
      <span class="bar-fill" style=${{ width: `${(100 * value) / most}%` }}></span>
      <span class="bar-value">${whole}</span>
    </div>`;
}

function Dot({ colour }) {
  return html`<i class="dot" style=${{ background: colour }}></i>`;
}
