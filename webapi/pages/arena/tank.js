/** A tank: hull with running tracks, turret, name and health; or what is left of one. */

import { colourOf } from "./palette.js";
import { box, disc, inMetres, ring } from "./shapes.js";

const HIT_FLASH_MS = 140;
const TREADS = 6; // bars on each track
const HEALTH_PX = { width: 46, height: 5 };
const LOW = 0.35; // share of hit points from which a tank is in trouble

/**
 * @typedef {import("./draw.js").Scene} Scene
 * @typedef {import("./state.js").TankView} TankView
 */

/** @param {Scene} scene @param {TankView} tank */
export function drawTank(scene, tank) {
  const { palette, state, input, now } = scene;
  const r = state.world.tank_radius_m;
  if (tank.hitPoints <= 0) {
    inMetres(scene, tank, 0, (ctx) => drawScorch(ctx, r, palette));
    return;
  }
  const own = tank.slot === state.slot;
  const flash = tank.hitAgeMs >= 0 && tank.hitAgeMs < HIT_FLASH_MS;
  const paint = flash ? palette.spark : colourOf(tank.slot, state, palette);
  if (own) drawOwnRing(scene, tank, r);
  inMetres(scene, tank, tank.heading, (ctx) => drawHull(ctx, r, paint, palette, tank.travelled));
  // Our own gun is shown where the hand is, not where the server saw it a moment ago.
  const aim = own && input.aim !== null ? input.aim : tank.aim;
  inMetres(scene, tank, aim, (ctx) => drawTurret(ctx, r, paint, palette));
  if (tank.hitPoints < LOW * state.world.max_hit_points) drawSmoke(scene, tank, now);
}

/** Name and health above a living tank. @param {Scene} scene @param {TankView} tank */
export function drawLabel({ ctx, camera, palette, state }, tank) {
  if (tank.hitPoints <= 0) return;
  const { x, y } = camera.toCanvas(tank.x, tank.y + state.world.tank_radius_m * 1.6);
  const { width, height } = HEALTH_PX;
  const share = Math.min(1, tank.hitPoints / state.world.max_hit_points);
  ctx.fillStyle = palette.shadow;
  box(ctx, x - width / 2 - 1, y - height - 1, width + 2, height + 2, 3);
  ctx.fillStyle = share > LOW ? palette.health : palette.hurt;
  box(ctx, x - width / 2, y - height, width * share, height, 2);
  ctx.fillStyle = palette.text;
  ctx.font = "600 12px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.fillText(state.players.get(tank.slot)?.name ?? "", x, y - height - 6);
}

/** A hull pointing along x. @param {number} r half its length, metres @param {number} travelled metres so far */
function drawHull(ctx, r, paint, palette, travelled) {
  const [length, width, track] = [r, r * 0.8, r * 0.3];
  ctx.fillStyle = palette.shadow;
  box(ctx, -length + 0.14 * r, -width + 0.14 * r, 2 * length, 2 * width, 0.25 * r);
  for (const side of [-width, width - track]) {
    ctx.fillStyle = palette.track;
    box(ctx, -length, side, 2 * length, track, 0.12 * r);
    ctx.fillStyle = palette.tread;
    drawTreads(ctx, length, side, track, travelled);
  }
  ctx.fillStyle = paint;
  box(ctx, -length * 0.94, -width + track * 0.75, 1.88 * length, 2 * (width - track * 0.75), 0.2 * r);
  ctx.fillStyle = "rgb(255 255 255 / 0.25)"; // the sloped front plate
  box(ctx, length * 0.6, -width + track * 1.1, length * 0.26, 2 * (width - track * 1.1), 0.1 * r);
  ctx.fillStyle = "rgb(0 0 0 / 0.22)"; // the engine deck
  box(ctx, -length * 0.84, -width + track * 1.3, length * 0.36, 2 * (width - track * 1.3), 0.08 * r);
}

/** Bars that run backwards as the tank drives on. */
function drawTreads(ctx, length, side, track, travelled) {
  const whole = 2 * length;
  const step = whole / TREADS;
  const shift = ((travelled % step) + step) % step;
  for (let bar = 0; bar <= TREADS; bar += 1) {
    const from = Math.max(0, bar * step - shift);
    const to = Math.min(whole, bar * step - shift + step * 0.4);
    if (to > from) ctx.fillRect(from - length, side + track * 0.1, to - from, track * 0.8);
  }
}

/** A turret whose gun points along x. */
function drawTurret(ctx, r, paint, palette) {
  ctx.fillStyle = palette.gun;
  box(ctx, r * 0.3, -r * 0.12, r * 1.2, r * 0.24, 0.05 * r);
  box(ctx, r * 1.32, -r * 0.18, r * 0.3, r * 0.36, 0.06 * r);
  ctx.fillStyle = palette.shadow;
  disc(ctx, 0.08 * r, 0.08 * r, 0.54 * r);
  ctx.fillStyle = paint;
  disc(ctx, 0, 0, 0.52 * r);
  ctx.strokeStyle = "rgb(0 0 0 / 0.25)";
  ctx.lineWidth = 0.06 * r;
  ring(ctx, 0, 0, 0.5 * r);
  ctx.fillStyle = "rgb(255 255 255 / 0.28)"; // the hatch
  disc(ctx, -0.12 * r, -0.1 * r, 0.24 * r);
}

function drawScorch(ctx, r, palette) {
  ctx.fillStyle = palette.shadow;
  disc(ctx, 0, 0, 1.1 * r);
  disc(ctx, 0.2 * r, -0.1 * r, 0.7 * r);
}

/** A soft ring around our own tank, so that nobody has to look for it. */
function drawOwnRing({ ctx, camera, palette, now }, { x, y }, radius) {
  const centre = camera.toCanvas(x, y);
  ctx.globalAlpha = 0.3 + 0.12 * Math.sin(now / 400);
  ctx.strokeStyle = palette.self;
  ctx.lineWidth = 2;
  ring(ctx, centre.x, centre.y, camera.scale * radius * 1.5);
  ctx.globalAlpha = 1;
}

/** Puffs that rise from a tank in trouble; a function of the time, like every effect. */
function drawSmoke({ ctx, camera, palette }, { x, y }, now) {
  ctx.fillStyle = palette.smoke;
  for (let puff = 0; puff < 4; puff += 1) {
    const life = (now / 1400 + puff / 4) % 1;
    const { x: left, y: top } = camera.toCanvas(x + Math.sin(puff * 9 + life * 3) * 0.6, y + life * 4);
    ctx.globalAlpha = 0.45 * (1 - life);
    disc(ctx, left, top, camera.scale * (0.4 + 0.9 * life));
  }
  ctx.globalAlpha = 1;
}
