/** Shapes that everything in the arena is drawn from. */

export function box(ctx, x, y, width, height, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, radius);
  ctx.fill();
}

export function disc(ctx, x, y, radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fill();
}

export function ring(ctx, x, y, radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.stroke();
}

export function line(ctx, from, to) {
  ctx.beginPath();
  ctx.moveTo(from.x, from.y);
  ctx.lineTo(to.x, to.y);
  ctx.stroke();
}

/** A colour of the palette (#rrggbb), seen through. Canvas takes `transparent` for black, which looks like soot. */
export function clear(colour) {
  return `${colour}00`;
}

/** Light that falls off from a centre. */
export function glow(ctx, { x, y }, radius, colour) {
  const reach = Math.max(0.1, radius);
  const light = ctx.createRadialGradient(x, y, 0, x, y, reach);
  light.addColorStop(0, colour);
  light.addColorStop(1, clear(colour));
  ctx.fillStyle = light;
  disc(ctx, x, y, reach);
}

/**
 * Run `paint` in metres: origin at a place of the world, x forward along `degrees`, y to the right of it.
 * @param {import("./draw.js").Scene} scene
 * @param {(ctx: CanvasRenderingContext2D) => void} paint
 */
export function inMetres({ ctx, camera }, { x, y }, degrees, paint) {
  const place = camera.toCanvas(x, y);
  ctx.save();
  ctx.translate(place.x, place.y);
  ctx.rotate((-degrees * Math.PI) / 180);
  ctx.scale(camera.scale, camera.scale);
  paint(ctx);
  ctx.restore();
}

/** An even-looking number from 0 to 1, always the same for the same seed. */
export function scatter(seed) {
  const value = Math.sin(seed * 127.1 + 11.7) * 43_758.5453;
  return value - Math.floor(value);
}
