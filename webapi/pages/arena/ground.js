/** What does not move: ground, grid, grass, walls. Only what is in sight is drawn. */

import { scatter } from "./shapes.js";

const GRID_M = 10;
const BLADES = 3; // of one tuft of grass
const TUFTED = 0.55; // share of the grid's cells with a tuft

/** @typedef {import("./draw.js").Scene} Scene */

/** @param {Scene} scene */
export function drawGround({ ctx, camera, palette, state: { world } }) {
  const { x, y } = camera.toCanvas(0, world.height_m);
  const [width, height] = [world.width_m * camera.scale, world.height_m * camera.scale];
  ctx.fillStyle = palette.ground;
  ctx.fillRect(x, y, width, height);
  const { west, south, east, north } = camera.sight;
  const columns = marks(west, east, world.width_m);
  const rows = marks(south, north, world.height_m);
  ctx.beginPath();
  for (const at of columns) {
    const column = Math.round(camera.toCanvas(at, 0).x) + 0.5;
    ctx.moveTo(column, y);
    ctx.lineTo(column, y + height);
  }
  for (const at of rows) {
    const row = Math.round(camera.toCanvas(0, at).y) + 0.5;
    ctx.moveTo(x, row);
    ctx.lineTo(x + width, row);
  }
  ctx.strokeStyle = palette.grid;
  ctx.lineWidth = 1;
  ctx.stroke();
  drawGrass(ctx, camera, palette, columns, rows);
  ctx.strokeStyle = palette.border;
  ctx.lineWidth = 3;
  ctx.strokeRect(x, y, width, height);
}

/** Multiples of the grid strictly inside the world and in sight. @returns {number[]} metres */
function marks(low, high, length) {
  const first = Math.max(1, Math.ceil(low / GRID_M) - 1);
  const last = Math.min(Math.ceil(length / GRID_M) - 1, Math.floor(high / GRID_M) + 1);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * GRID_M);
}

/** Tufts south-west of the grid's crossings: without something on the ground nobody sees how fast they drive. */
function drawGrass(ctx, camera, palette, columns, rows) {
  ctx.beginPath();
  for (const column of columns) {
    for (const row of rows) {
      const seed = column * 7.3 + row * 3.1;
      if (scatter(seed) > TUFTED) continue;
      const foot = camera.toCanvas(column - GRID_M * scatter(seed + 1), row - GRID_M * scatter(seed + 2));
      const tall = camera.scale * (0.5 + 0.5 * scatter(seed + 3));
      for (let blade = 0; blade < BLADES; blade += 1) {
        const lean = blade - (BLADES - 1) / 2;
        ctx.moveTo(foot.x + lean * tall * 0.3, foot.y);
        ctx.lineTo(foot.x + lean * tall * 0.8, foot.y - tall * (1 - 0.25 * Math.abs(lean)));
      }
    }
  }
  ctx.strokeStyle = palette.grass;
  ctx.lineWidth = 1.5;
  ctx.lineCap = "round";
  ctx.stroke();
}

/** Walls as blocks seen from above: a shadow, a side, a top moved towards the light. @param {Scene} scene */
export function drawWalls({ ctx, camera, palette, state: { world } }) {
  const lift = 0.9 * camera.scale;
  for (const [west, south, east, north] of world.walls) {
    const { x, y } = camera.toCanvas(west, north);
    const [width, height] = [(east - west) * camera.scale, (north - south) * camera.scale];
    ctx.fillStyle = palette.shadow;
    ctx.fillRect(x + lift, y + lift, width, height);
    ctx.fillStyle = palette.wall;
    ctx.fillRect(x, y, width, height);
    ctx.fillStyle = palette["wall-top"];
    ctx.fillRect(x, y, width - lift / 2, height - lift / 2);
  }
}
