/** Who operates: a developer sees his own games, an admin all, and may end and cancel. Known to this tab alone. */

import { ApiError, Muster } from "./muster.js";

const KEY = "muster.operator";
const muster = new Muster();
muster.account = JSON.parse(sessionStorage.getItem(KEY) ?? "null");

/** @typedef {{player: string, name: string, role: "developer" | "admin"}} Who */

/** @returns {Who | null} who is signed in */
export function whoOperates() {
  return muster.account && { player: muster.account.player, name: muster.account.name, role: muster.account.role };
}

/** @returns {Promise<Who>} @throws {Error} with a sentence: the password is wrong, or a player has nothing to see here */
export async function signIn(name, password) {
  await muster.login(name, password);
  if (!["developer", "admin"].includes(muster.account.role)) {
    await signOut();
    throw new Error("This account is a player's. Developers and admins see this page.");
  }
  keep();
  return whoOperates();
}

/** Forget who operates; the session ends on the server too, where that can be reached. */
export async function signOut() {
  await muster.logout().catch(() => {});
  muster.account = null;
  keep();
}

/** A request as whoever is signed in. @returns {Promise<any>} */
export async function ask(path, options) {
  if (!muster.account) throw new ApiError(401, { detail: "Sign in first." });
  try {
    return await muster.request(path, options);
  } catch (error) {
    if (error.status === 401) muster.account = null;
    throw error;
  } finally {
    keep(); // the token may have been renewed
  }
}

function keep() {
  if (muster.account) sessionStorage.setItem(KEY, JSON.stringify(muster.account));
  else sessionStorage.removeItem(KEY);
}

/** Parts of a path, each as one. */
export const path = (...parts) => parts.map(encodeURIComponent).join("/");
