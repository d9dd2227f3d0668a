/** Which part of the world the canvas shows. World: metres, y to the north. Canvas: CSS pixels, y downwards. */

const SHOWN_M = 72; // of the shorter side: on a wide screen a shot's whole range is in sight to both sides
const MARGIN_M = 10; // how far the view may look over the border
const GLIDE_MS = 120; // time constant of following

export class Camera {
  scale = 1; // CSS pixels per metre
  #x = 0; // centre, metres
  #y = 0;
  #width = 1; // CSS pixels
  #height = 1;
  #placed = false;

  /** @param {number} width CSS pixels @param {number} height CSS pixels */
  resize(width, height) {
    this.#width = Math.max(1, width);
    this.#height = Math.max(1, height);
    this.scale = Math.min(this.#width, this.#height) / SHOWN_M;
  }

  /** Move towards a place. @param {{x: number, y: number}} place @param {number} ms since the last call */
  follow(place, ms, world) {
    const share = this.#placed ? 1 - Math.exp(-ms / GLIDE_MS) : 1;
    this.#placed = true;
    const x = within(place.x, this.#width / this.scale / 2, world.width_m);
    const y = within(place.y, this.#height / this.scale / 2, world.height_m);
    this.#x += (x - this.#x) * share;
    this.#y += (y - this.#y) * share;
  }

  /** @returns {{x: number, y: number}} CSS pixels */
  toCanvas(x, y) {
    return { x: this.#width / 2 + (x - this.#x) * this.scale, y: this.#height / 2 - (y - this.#y) * this.scale };
  }

  /** @returns {{west: number, south: number, east: number, north: number}} metres in sight */
  get sight() {
    const halfX = this.#width / this.scale / 2;
    const halfY = this.#height / this.scale / 2;
    return { west: this.#x - halfX, south: this.#y - halfY, east: this.#x + halfX, north: this.#y + halfY };
  }
}

/** A centre that keeps the view inside the world; the middle where the world is smaller than the view. */
function within(centre, half, length) {
  const low = half - MARGIN_M;
  const high = length - half + MARGIN_M;
  return low > high ? length / 2 : Math.max(low, Math.min(high, centre));
}
