/** The arena on the page: the canvas with its frame loop, and the instruments around it. */

import { html, useEffect, useRef, useState } from "../ui.js";
import { Camera } from "./camera.js";
import { draw } from "./draw.js";
import { Bars, Clock, Feed, Scores } from "./hud.js";
import { Input } from "./input.js";
import { readPalette } from "./palette.js";

const INSTRUMENTS_MS = 100; // how often bars, scores and clock are brought up to date
const HOW_TO_PLAY = "The arena. Drive with W, A, S, D or the arrow keys, sprint with Shift, aim with the mouse, "
  + "shoot with Space or a click.";
const SHARPEST = 2; // more device pixels per CSS pixel cost more than they show

/**
 * @param {{match: import("../play.js").PlayedMatch, connected: boolean, onLeave: () => void}} props
 */
export function Arena({ match, connected, onLeave }) {
  const canvas = useRef(null);
  const { state, link } = match;
  const palette = readPalette(document.documentElement);
  useFrames(canvas, match);
  useBeat(INSTRUMENTS_MS);
  return html`
    <section class="arena" aria-label="Arena">
      <canvas ref=${canvas} tabindex="0" role="img" aria-label=${HOW_TO_PLAY}></canvas>
      ${state.world && html`
        <${Scores} state=${state} palette=${palette} />
        <${Clock} state=${state} />
        <${Feed} state=${state} palette=${palette} />
        <${Bars} state=${state} />`}
      <div class="arena-corner">
        <span class="latency" title="Delay to the server and back">${Math.round(link.latencyMs)} ms</span>
        <button class="quiet" onClick=${onLeave}>Leave</button>
      </div>
      <p class="arena-banner" role="status">${banner(match, connected)}</p>
    </section>`;
}

/** What is said across the middle of the arena. */
function banner({ state }, connected) {
  if (!connected) return state.world ? "Connection lost. Joining again…" : "Joining the server…";
  if (state.you.respawn_ms > 0) return `Destroyed. Back in ${Math.ceil(state.you.respawn_ms / 1000)} s`;
  return "";
}

/** Draw at the display's rate, and send what the player does. */
function useFrames(canvas, match) {
  useEffect(() => {
    const element = canvas.current;
    const ctx = element.getContext("2d");
    const camera = new Camera();
    const input = new Input(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => { palette = readPalette(element); };
    const fit = () => camera.resize(...resize(element, ctx));
    let palette = readPalette(element);
    let link = null;
    let frame = 0;
    let last = performance.now();
    const step = (now) => {
      frame = requestAnimationFrame(step);
      if (link !== match.link) { link = match.link; input.reset(); }
      const own = match.state.tank(match.state.slot, now);
      if (own) camera.follow(own, now - last, match.state.world);
      last = now;
      const [width, height] = [element.clientWidth, element.clientHeight];
      draw({ ctx, state: match.state, camera, input, palette, now, width, height });
      const place = own && own.hitPoints > 0 ? camera.toCanvas(own.x, own.y) : null;
      const commands = link.joined ? input.commands(now, place, match.state) : [];
      if (commands.length) input.sent(commands, link.send(commands));
    };
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    scheme.addEventListener("change", repaint);
    fit();
    element.focus();
    frame = requestAnimationFrame(step);
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      scheme.removeEventListener("change", repaint);
    };
  }, [match]);
}

/** Give the canvas as many pixels as the screen has for it. @returns {[number, number]} its size in CSS pixels */
function resize(element, ctx) {
  const ratio = Math.min(SHARPEST, devicePixelRatio);
  const [width, height] = [element.clientWidth, element.clientHeight];
  element.width = Math.round(width * ratio);
  element.height = Math.round(height * ratio);
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return [width, height];
}

function useBeat(ms) {
  const [, beat] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => beat((count) => count + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
}
