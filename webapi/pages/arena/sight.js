/** What helps the player: where a shot would end, and where tanks out of sight are. */

import { colourOf } from "./palette.js";
import { line, ring } from "./shapes.js";

const POINTER_PX = 86; // from our tank to the arrows around it
const CROSSHAIR_PX = 9;

/** @typedef {import("./draw.js").Scene} Scene @typedef {import("./state.js").TankView} TankView */

/** A dotted line to where a shot would end at the latest, and a ring at the pointer. @param {Scene} scene */
export function drawSight({ ctx, camera, palette, state, input }, tanks) {
  const own = tanks.find((tank) => tank.slot === state.slot);
  if (!own || own.hitPoints <= 0 || input.aim === null) return;
  const { world } = state;
  const radians = (input.aim * Math.PI) / 180;
  const [towardsX, towardsY] = [Math.cos(radians), Math.sin(radians)];
  const [from, to] = [world.tank_radius_m * 1.9, reach(own, towardsX, towardsY, world)].map((metres) =>
    camera.toCanvas(own.x + towardsX * metres, own.y + towardsY * metres));
  ctx.globalAlpha = 0.5;
  ctx.strokeStyle = palette.self;
  ctx.lineWidth = 1.5;
  ctx.setLineDash([2, 8]);
  line(ctx, from, to);
  ctx.setLineDash([]);
  if (input.pointer) ring(ctx, input.pointer.x, input.pointer.y, CROSSHAIR_PX);
  ctx.globalAlpha = 1;
}

/** Metres from a place in a direction to the first wall, at most the gun's range. */
export function reach({ x, y }, towardsX, towardsY, { walls, shot_range_m }) {
  let nearest = shot_range_m;
  for (const [west, south, east, north] of walls) {
    const [enterX, leaveX] = between(west - x, east - x, towardsX);
    const [enterY, leaveY] = between(south - y, north - y, towardsY);
    const enter = Math.max(enterX, enterY);
    if (enter >= 0 && enter <= Math.min(leaveX, leaveY)) nearest = Math.min(nearest, enter);
  }
  return nearest;
}

/** When something that moves at `speed` is between two lines, the lines' offsets given. Division by 0 tells never. */
function between(low, high, speed) {
  const [first, second] = [low / speed, high / speed];
  return first <= second ? [first, second] : [second, first];
}

/** Arrows around our tank towards those out of sight, with their distance. @param {Scene} scene */
export function drawPointers({ ctx, camera, palette, state }, tanks) {
  const own = tanks.find((tank) => tank.slot === state.slot);
  if (!own) return;
  const { west, south, east, north } = camera.sight;
  const centre = camera.toCanvas(own.x, own.y);
  for (const tank of tanks) {
    const inSight = tank.x > west && tank.x < east && tank.y > south && tank.y < north;
    if (inSight || tank.hitPoints <= 0) continue;
    const angle = Math.atan2(own.y - tank.y, tank.x - own.x);
    const distance = Math.hypot(tank.x - own.x, tank.y - own.y);
    ctx.save();
    ctx.translate(centre.x, centre.y);
    ctx.fillStyle = colourOf(tank.slot, state, palette);
    ctx.font = "600 12px system-ui, sans-serif";
    ctx.textAlign = "center";
    const label = POINTER_PX + 30;
    ctx.fillText(`${Math.round(distance)} m`, Math.cos(angle) * label, Math.sin(angle) * label + 4);
    ctx.rotate(angle);
    ctx.beginPath();
    ctx.moveTo(POINTER_PX + 9, 0);
    ctx.lineTo(POINTER_PX - 5, 8);
    ctx.lineTo(POINTER_PX - 5, -8);
    ctx.fill();
    ctx.restore();
  }
}
