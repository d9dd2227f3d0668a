/**
 * The guest account of this tab. It lives in sessionStorage, so two tabs are two players and a reload stays one.
 *
 * A duplicated tab starts with a copy of its parent's sessionStorage; a Web Lock named after the player tells who
 * was first, and the copy becomes a guest of its own. Without Web Locks (plain http from another host) the copy
 * stays the same player, which the server answers with a clear refusal.
 */

import { ApiError, request } from "./muster.js";

const KEY = "muster.account";
const RENEW_EARLY_MS = 30_000; // a token must outlive the request it is sent with
const CLAIM_MS = 300; // a page that is reloading lets go of its lock within this

/**
 * @typedef {object} Account
 * @property {string} player id
 * @property {string} name
 * @property {string} access_token
 * @property {string} refresh_token
 * @property {number} renew_at_ms when the access token is to be renewed (this machine's clock)
 */

/** @type {Account | null} */
let account = null;
/** @type {Promise<void> | null} */
let renewal = null;

/** Settles when the account this tab had before a reload is known, or that it had none. @type {Promise<void>} */
const restored = restore();

/** @returns {Promise<Account | null>} the account this tab has already */
export async function knownAccount() {
  await restored;
  return account;
}

/** @returns {Promise<Account>} the tab's account; the first call makes one */
export async function ensureAccount() {
  await restored;
  if (!account) {
    keep(await request("v1/guests", { method: "POST", body: {} }));
    await claim(account.player);
  }
  return account;
}

/** @returns {Promise<string>} an access token that is good for a while */
export async function accessToken() {
  await ensureAccount();
  if (Date.now() >= account.renew_at_ms) {
    // Once for all who ask: a refresh token is good for one use.
    renewal ??= renew().finally(() => { renewal = null; });
    await renewal;
  }
  return account.access_token;
}

/**
 * A request as this tab's player. A token that is refused is renewed; where that is refused too (an installation
 * that forgot us), the tab becomes a new guest.
 */
export async function requestAs(path, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request(path, { ...options, token: await accessToken() });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401 || attempt === 3) throw error;
      if (account) account.renew_at_ms = 0;
    }
  }
}

async function renew() {
  try {
    keep(await request("v1/refresh", { method: "POST", body: { refresh_token: account.refresh_token } }));
  } catch (error) {
    if (error instanceof ApiError && !error.passing) forget();
    throw error;
  }
}

async function restore() {
  const stored = sessionStorage.getItem(KEY);
  if (!stored) return;
  const before = JSON.parse(stored);
  if (await claim(before.player)) account = before;
  else sessionStorage.clear();
}

function keep({ player, name, access_token, refresh_token, expires_in }) {
  account = { player, name, access_token, refresh_token, renew_at_ms: Date.now() + expires_in * 1000 - RENEW_EARLY_MS };
  sessionStorage.setItem(KEY, JSON.stringify(account));
}

function forget() {
  account = null;
  sessionStorage.removeItem(KEY);
}

/** Hold this player for as long as the page lives. @returns {Promise<boolean>} false if another tab holds it */
function claim(player) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const held = () => { resolve(true); return new Promise(() => {}); };
    navigator.locks.request(`muster.player.${player}`, { signal: AbortSignal.timeout(CLAIM_MS) }, held)
      .catch(() => resolve(false));
  });
}
