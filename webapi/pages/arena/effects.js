/**
 * What is seen for a moment: shots, sparks, blasts. Each is a function of its age alone, so nothing has to be
 * remembered or stepped, and a frame that comes late looks right.
 */

import { clear, glow, line, ring, scatter } from "./shapes.js";

const TRACER_MS = 160;
const SPARK_MS = 350;
const NUMBER_MS = 900;
const BLAST_MS = 900;
const SPARKS = 9;
const DEBRIS = 22;

/** @typedef {import("./draw.js").Scene} Scene */

/** A tracer from muzzle to end, a flash at the muzzle, sparks where it ended, the damage as a rising number. */
export function drawShot(scene, shot, ageMs) {
  const { ctx, camera, palette, state } = scene;
  const radians = (shot.aim * Math.PI) / 180;
  const along = (metres) => camera.toCanvas(shot.x + Math.cos(radians) * metres, shot.y + Math.sin(radians) * metres);
  const muzzle = along(Math.min(shot.length, state.world.tank_radius_m * 1.7));
  const end = along(shot.length);
  if (ageMs < TRACER_MS) {
    const left = 1 - ageMs / TRACER_MS;
    const trail = ctx.createLinearGradient(muzzle.x, muzzle.y, end.x, end.y);
    trail.addColorStop(0, clear(palette.shot));
    trail.addColorStop(1, palette.shot);
    ctx.globalAlpha = left;
    ctx.strokeStyle = trail;
    ctx.lineWidth = 1 + 2.5 * left;
    ctx.lineCap = "round";
    line(ctx, muzzle, end);
    glow(ctx, muzzle, camera.scale * 1.5 * left, palette.shot);
  }
  if (ageMs < SPARK_MS) burst(ctx, end, SPARKS, ageMs / SPARK_MS, camera.scale * (shot.hit ? 3 : 1.6), palette.shot);
  if (shot.hit && ageMs < NUMBER_MS) rise(scene, end, `−${shot.damage}`, ageMs / NUMBER_MS);
  ctx.globalAlpha = 1;
}

/** A tank goes up: a fireball that fades, a ring that runs, debris in the tank's colour. */
export function drawBlast({ ctx, camera, palette }, blast, ageMs, colour) {
  if (ageMs > BLAST_MS) return;
  const share = ageMs / BLAST_MS;
  const centre = camera.toCanvas(blast.x, blast.y);
  ctx.globalAlpha = 1 - share;
  glow(ctx, centre, camera.scale * (2 + 5 * Math.sqrt(share)), palette.shot);
  ctx.globalAlpha = (1 - share) ** 2;
  ctx.strokeStyle = palette.spark;
  ctx.lineWidth = 3 * (1 - share) + 0.5;
  ring(ctx, centre.x, centre.y, camera.scale * 9 * Math.sqrt(share));
  burst(ctx, centre, DEBRIS, share, camera.scale * 8, colour);
  burst(ctx, centre, DEBRIS, share, camera.scale * 5, palette.shot);
  ctx.globalAlpha = 1;
}

/** Pieces that fly apart and fade. @param {number} share of their life, 0 to 1 @param {number} reach CSS pixels */
function burst(ctx, { x, y }, pieces, share, reach, colour) {
  ctx.globalAlpha = (1 - share) ** 1.5;
  ctx.fillStyle = colour;
  for (let piece = 0; piece < pieces; piece += 1) {
    const angle = scatter(piece) * 2 * Math.PI;
    const way = reach * (0.3 + 0.7 * scatter(piece + 0.5)) * Math.sqrt(share);
    const size = 1 + 2.5 * scatter(piece + 0.25) * (1 - share);
    ctx.fillRect(x + Math.cos(angle) * way - size / 2, y + Math.sin(angle) * way - size / 2, size, size);
  }
}

function rise({ ctx, palette }, { x, y }, text, share) {
  ctx.globalAlpha = 1 - share ** 2;
  ctx.fillStyle = palette.hurt;
  ctx.font = "700 15px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.fillText(text, x, y - 18 - 26 * share);
}
