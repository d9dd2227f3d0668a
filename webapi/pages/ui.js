/** The one place that knows how components are written: Preact through tagged templates, no build step. */

import htm from "./vendor/htm/htm.mjs";
import { h } from "./vendor/preact/preact.mjs";

export { render } from "./vendor/preact/preact.mjs";
export { useEffect, useRef, useState } from "./vendor/preact/hooks.mjs";

/** Id of the game that comes with Muster: the first choice wherever one is to be made. */
export const BUILT_IN = "tanks";

export const html = htm.bind(h);

/** @param {number} seconds @returns {string} such as "8 s", "3 min", "2 h" */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h`;
}

/** @param {number} bytes @returns {string} in MiB, as `top` shows it */
export function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** @param {string} id @returns {string} the end of an id, which is what tells two of them apart */
export function shortId(id) {
  return id.length > 10 ? `…${id.slice(-8)}` : id;
}
