/**
 * Keyboard, mouse and touch to `move` and `shoot` commands.
 *
 * WASD or arrows drive, Shift sprints, the mouse aims, click or Space shoots. On a touch screen the left half is a
 * stick to drive with, the right half aims and shoots. Commands go out when something changed, not every frame: each
 * accepted one is a record in the log.
 */

const MOVE_EVERY_MS = 40; // steering changes are sent at most this often
const HOLD_EVERY_MS = 200; // and repeated while held; the server lets go after 500 ms
const TRIGGER_MS = 400; // a click during the cool-down is still meant for so long
const SPRINT_FROM = 0.15; // share of stamina; a sprint ends near 0 and may not flicker there
const SPRINT_UNTIL = 0.03;
const STICK_PX = 60; // full deflection of the touch stick

const DRIVE_KEYS = {
  KeyW: "ahead", ArrowUp: "ahead", KeyS: "back", ArrowDown: "back", KeyA: "left", ArrowLeft: "left",
  KeyD: "right", ArrowRight: "right", ShiftLeft: "sprint", ShiftRight: "sprint", Space: "shoot",
};

export class Input {
  /** Where the gun is pointed, degrees counter-clockwise from east; null until the player has aimed. */
  aim = null;
  /**
   * The touch stick in CSS pixels, while it is held.
   * @type {{id: number, x: number, y: number, dx: number, dy: number} | null}
   */
  stick = null;
  /** Position of the pointer in CSS pixels of the canvas, or null. @type {{x: number, y: number} | null} */
  pointer = null;
  #held = new Set();
  #trigger = -Infinity; // when a shot was last asked for
  #sent = { throttle: 0, turn: 0, sprint: false, aim: null };
  #sentAt = -Infinity;
  #sprinting = false;
  #shot = 0; // sequence number of the last shot
  #gun = 0; // pointer that holds the trigger

  /** @param {HTMLCanvasElement} canvas which has the focus while the game is played */
  constructor(canvas) {
    canvas.addEventListener("keydown", (event) => this.#key(event, true));
    canvas.addEventListener("keyup", (event) => this.#key(event, false));
    canvas.addEventListener("blur", () => this.release());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => this.#pressed(canvas, event));
    canvas.addEventListener("pointermove", (event) => this.#moved(event));
    for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, (event) => this.#lifted(event));
  }

  /** Let go of everything. */
  release() {
    this.#held.clear();
    this.stick = null;
    this.#gun = 0;
  }

  /**
   * Call once per frame.
   * @param {number} now ms
   * @param {{x: number, y: number} | null} at our tank on the canvas, CSS pixels; null while it is destroyed
   * @param {import("./state.js").ArenaState} state
   * @returns {object[]} commands to send now; tell `sent` their last number
   */
  commands(now, at, state) {
    if (!at || !state.world) return [];
    if (this.pointer) this.aim = bearing(this.pointer.x - at.x, at.y - this.pointer.y);
    const commands = [];
    const move = this.#steering(state);
    if (this.#isDue(move, now)) {
      commands.push({ type: "move", ...move, ...(move.aim === null && { aim: undefined }) });
      this.#sent = move;
      this.#sentAt = now;
    }
    if (this.#fires(now, state)) {
      commands.push({ type: "shoot", ...(this.aim !== null && { aim: this.aim }) });
      this.#trigger = -Infinity;
    }
    return commands;
  }

  /** @param {object[]} commands @param {number} seq number of the last of them */
  sent(commands, seq) {
    if (commands.some((command) => command.type === "shoot")) this.#shot = seq;
  }

  /** After a reconnect numbers and steering start anew. */
  reset() {
    this.#shot = 0;
    this.#sentAt = -Infinity;
    this.#sent = { throttle: 0, turn: 0, sprint: false, aim: null };
  }

  #steering({ you, world }) {
    const axis = (plus, minus) => Number(this.#held.has(plus)) - Number(this.#held.has(minus));
    const throttle = this.stick ? clamp(-this.stick.dy / STICK_PX) : axis("ahead", "back");
    const turn = this.stick ? clamp(-this.stick.dx / STICK_PX) : axis("left", "right");
    const stamina = you.stamina / world.max_stamina;
    const sprint = this.#held.has("sprint") && throttle > 0;
    this.#sprinting = sprint && stamina > (this.#sprinting ? SPRINT_UNTIL : SPRINT_FROM);
    return { throttle, turn, sprint: this.#sprinting, aim: this.aim };
  }

  #isDue(move, now) {
    const last = this.#sent;
    const age = now - this.#sentAt;
    const changed = Object.keys(move).some((key) => move[key] !== last[key]);
    const holds = move.throttle !== 0 || move.turn !== 0;
    return (changed && age >= MOVE_EVERY_MS) || (holds && age >= HOLD_EVERY_MS);
  }

  /** Shoot only what the server will take: one shot under way, gun cool. */
  #fires(now, { you, ack }) {
    const wanted = this.#held.has("shoot") || this.#gun !== 0 || now - this.#trigger < TRIGGER_MS;
    return wanted && you.cooldown_ms === 0 && ack >= this.#shot;
  }

  #key(event, down) {
    const action = DRIVE_KEYS[event.code];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (down) this.#held.add(action);
    else this.#held.delete(action);
    if (down && !event.repeat && action === "shoot") this.#trigger = event.timeStamp;
  }

  #pressed(canvas, event) {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch" && event.offsetX < canvas.clientWidth / 2) {
      this.stick = { id: event.pointerId, x: event.offsetX, y: event.offsetY, dx: 0, dy: 0 };
      return;
    }
    this.pointer = { x: event.offsetX, y: event.offsetY };
    this.#gun = event.pointerId;
    this.#trigger = event.timeStamp;
  }

  #moved(event) {
    if (event.pointerId === this.stick?.id) {
      this.stick.dx = event.offsetX - this.stick.x;
      this.stick.dy = event.offsetY - this.stick.y;
    } else {
      this.pointer = { x: event.offsetX, y: event.offsetY };
    }
  }

  #lifted(event) {
    if (event.pointerId === this.stick?.id) this.stick = null;
    if (event.pointerId === this.#gun) this.#gun = 0;
  }
}

/** Direction in degrees, to a tenth, counter-clockwise from east; `up` grows upwards. */
function bearing(right, up) {
  return Math.round((((Math.atan2(up, right) * 180) / Math.PI + 360) % 360) * 10) / 10;
}

function clamp(value) {
  return Math.max(-1, Math.min(1, Math.abs(value) < 0.15 ? 0 : value));
}
