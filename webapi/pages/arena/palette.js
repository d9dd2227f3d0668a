/** The arena's colours: read from the style sheet, so that light and dark are decided in one place. */

const NAMES = [
  "outside", "ground", "grid", "grass", "border", "wall", "wall-top", "shadow", "text", "self", "ally",
  "track", "tread", "gun", "shot", "spark", "smoke", "health", "hurt",
];
const TEAM_COLOURS = ["red", "blue", "green", "yellow", "orange", "purple"]; // a team so named looks so
const GOLDEN_ANGLE = 137.508; // neighbours in this sequence of hues are told apart best
const FIRST_HUE = 8;

/** @param {Element} element @returns {Record<string, string>} by the names of the `--arena-…` properties */
export function readPalette(element) {
  const style = getComputedStyle(element);
  const names = [...NAMES, ...TEAM_COLOURS];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--arena-${name}`).trim()]));
}

/**
 * The colour of a tank: its team's where that is named after one, else ours, an ally's, or one of many.
 * @param {number} slot
 * @param {import("./state.js").ArenaState} state
 * @param {Record<string, string>} palette
 */
export function colourOf(slot, state, palette) {
  const team = state.players.get(slot)?.team;
  if (TEAM_COLOURS.includes(team)) return palette[team];
  if (slot === state.slot) return palette.self;
  if (team && team === state.players.get(state.slot)?.team) return palette.ally;
  const steps = team ? sum(team) : slot > state.slot ? slot - 1 : slot;
  return `hsl(${(FIRST_HUE + steps * GOLDEN_ANGLE) % 360} 72% 56%)`;
}

function sum(text) {
  return [...text].reduce((total, letter) => total + letter.codePointAt(0), 0);
}
