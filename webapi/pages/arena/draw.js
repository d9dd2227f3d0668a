/** One frame of the arena on a canvas. Reads the state, changes nothing. */

import { drawBlast, drawShot } from "./effects.js";
import { drawGround, drawWalls } from "./ground.js";
import { colourOf } from "./palette.js";
import { box, disc, ring } from "./shapes.js";
import { drawPointers, drawSight } from "./sight.js";
import { drawLabel, drawTank } from "./tank.js";

const MINIMAP_PX = 168; // width
const MINIMAP_INSET_PX = 22;

/**
 * @typedef {object} Scene
 * @property {CanvasRenderingContext2D} ctx one unit is one CSS pixel
 * @property {import("./state.js").ArenaState} state
 * @property {import("./camera.js").Camera} camera
 * @property {import("./input.js").Input} input
 * @property {Record<string, string>} palette
 * @property {number} now ms
 * @property {number} width CSS pixels
 * @property {number} height CSS pixels
 */

/** @param {Scene} scene */
export function draw(scene) {
  const { ctx, palette, state, now, width, height } = scene;
  ctx.fillStyle = palette.outside;
  ctx.fillRect(0, 0, width, height);
  if (!state.world) return;
  const tanks = state.tanks(now).sort((a, b) => a.hitPoints - b.hitPoints); // wrecks below
  drawGround(scene);
  drawWalls(scene);
  drawSight(scene, tanks);
  for (const tank of tanks) drawTank(scene, tank);
  for (const effect of state.effects) drawEffect(scene, effect);
  for (const tank of tanks) drawLabel(scene, tank);
  const everybody = [...tanks, ...state.distant()];
  drawPointers(scene, everybody);
  drawMinimap(scene, everybody);
  drawStick(scene);
}

function drawEffect(scene, effect) {
  const ageMs = scene.now - effect.at;
  if (ageMs < 0) return; // shown as late as the tanks are
  if (effect.kind === "shot") drawShot(scene, effect, ageMs);
  else drawBlast(scene, effect, ageMs, colourOf(effect.slot, scene.state, scene.palette));
}

function drawMinimap({ ctx, camera, palette, state, width, height }, tanks) {
  const { world } = state;
  const scale = Math.min(MINIMAP_PX, width / 4) / world.width_m;
  const [w, h] = [world.width_m * scale, world.height_m * scale];
  const [left, bottom] = [width - w - MINIMAP_INSET_PX, height - MINIMAP_INSET_PX];
  const block = (west, south, east, north) =>
    [left + west * scale, bottom - north * scale, (east - west) * scale, (north - south) * scale];
  ctx.save();
  ctx.globalAlpha = 0.85;
  ctx.fillStyle = palette.outside;
  box(ctx, left - 6, bottom - h - 6, w + 12, h + 12, 10);
  ctx.globalAlpha = 1;
  ctx.beginPath();
  ctx.rect(left, bottom - h, w, h);
  ctx.clip();
  ctx.fillStyle = palette.ground;
  ctx.fillRect(left, bottom - h, w, h);
  ctx.fillStyle = palette["wall-top"];
  for (const wall of world.walls) ctx.fillRect(...block(...wall));
  const { west, south, east, north } = camera.sight;
  ctx.strokeStyle = palette.border;
  ctx.lineWidth = 1;
  ctx.strokeRect(...block(west, south, east, north));
  for (const tank of tanks) {
    if (tank.hitPoints <= 0) continue;
    ctx.fillStyle = colourOf(tank.slot, state, palette);
    disc(ctx, left + tank.x * scale, bottom - tank.y * scale, tank.slot === state.slot ? 4.5 : 3.5);
  }
  ctx.restore();
}

function drawStick({ ctx, input: { stick }, palette }) {
  if (!stick) return;
  ctx.globalAlpha = 0.4;
  ctx.strokeStyle = palette.text;
  ctx.lineWidth = 2;
  ring(ctx, stick.x, stick.y, 60);
  ctx.fillStyle = palette.text;
  disc(ctx, stick.x + stick.dx, stick.y + stick.dy, 22);
  ctx.globalAlpha = 1;
}
