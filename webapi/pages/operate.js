/** The operator's view: sign in, look for a match or a player, see what was counted and what cannot be right. */

import { request } from "./muster.js";
import { Counts, Flags } from "./counts.js";
import { Drain } from "./drain.js";
import { ask, path, signIn, signOut, whoOperates } from "./operator.js";
import { StoryOf } from "./story.js";
import { html, useEffect, useState } from "./ui.js";

/**
 * Where the page is: what stands behind # in its address.
 * @returns {{view: "overview" | "operate" | "story", of?: {kind: string, game: string, id: string}}}
 */
export function useRoute() {
  const [route, setRoute] = useState(read());
  useEffect(() => {
    const look = () => setRoute(read());
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return route;
}

function read() {
  const [, kind, game, id] = location.hash.split("/").map(plain);
  if (["match", "player"].includes(kind) && game && id) return { view: "story", of: { kind, game, id } };
  return { view: kind === "operate" ? "operate" : "overview" };
}

function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return ""; // typed by hand
  }
}

/** @param {{route: ReturnType<typeof useRoute>}} props */
export function Operate({ route }) {
  const [who, setWho] = useState(whoOperates());
  const games = useGames(who);
  if (!who) return html`<${SignIn} done=${setWho} />`;
  const admin = who.role === "admin";
  const leave = () => signOut().then(() => setWho(null));
  return html`
    <section class="card search">
      <${Search} games=${games ?? []} admin=${admin} />
      <p class="row"><span>${who.name} <small>${admin ? "admin" : "developer, own games"}</small></span>
        <button onClick=${leave}>Sign out</button></p>
    </section>
    ${route.view === "story"
      ? html`<${StoryOf} key=${`${route.of.kind}/${route.of.game}/${route.of.id}`} of=${route.of} admin=${admin} />`
      : games && html`
        <div class="columns">
          <div><${Counts} games=${games} admin=${admin} /></div>
          <div><${Flags} games=${games} admin=${admin} />${admin && html`<${Drain} />`}</div>
        </div>`}`;
}

function SignIn({ done }) {
  const [error, setError] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    try {
      done(await signIn(given.get("name"), given.get("password")));
    } catch (refused) {
      setError(refused.message);
    }
  };
  return html`
    <section class="card signin" aria-labelledby="signin-title">
      <h2 id="signin-title">Sign in to operate</h2>
      <p>Developers see what happens in their games; admins see everything.</p>
      <form onSubmit=${submit}>
        <label>Name <input name="name" autocomplete="username" required maxlength="64" /></label>
        <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
        <button class="primary" type="submit">Sign in</button>
      </form>
      ${error && html`<p class="notice bad" role="alert">${error}</p>`}
    </section>`;
}

/** @param {{games: {id: string, name: string}[], admin: boolean}} props */
function Search({ games, admin }) {
  const [error, setError] = useState("");
  const [game, setGame] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    try {
      location.hash = await find(new FormData(event.target).get("what").trim(), game, games);
      setError("");
    } catch (refused) {
      setError(refused.message);
    }
  };
  return html`
    <form role="search" class="row" onSubmit=${submit}>
      <input name="what" type="search" required aria-label="A match or a player"
        placeholder=${admin ? "A match (m-…), a player (p-…) or his name" : "A match (m-…) or a player (p-…)"} />
      <select aria-label="In" value=${game} onChange=${(event) => setGame(event.target.value)}>
        <option value="">Any game</option>
        ${games.map(({ id, name }) => html`<option key=${id} value=${id}>${name || id}</option>`)}
      </select>
      <button type="submit">Show its story</button>
      ${error && html`<small role="alert" class="notice bad">${error}</small>`}
      ${(error || location.hash !== "#/operate") && html`<a href="#/operate">Counts and flags</a>`}
    </form>`;
}

/** @returns {Promise<string>} where the story of it is; rejects with a sentence */
async function find(what, game, games) {
  const { kind, id, games: found } = await ask(`v1/search?what=${encodeURIComponent(what)}`);
  const shown = [game, ...found, games[0]?.id].find((one) => one && (found.includes(one) || !found.length));
  if (!shown) throw new Error(game ? "That is in another game." : "There is no game to look in.");
  return `#/${kind}/${path(shown, id)}`;
}

/** The games that whoever is signed in may look into; null while they are not known. */
function useGames(who) {
  const [games, setGames] = useState(null);
  const key = who && `${who.player}/${who.role}`;
  useEffect(() => {
    if (!who) return;
    request("v1/games").then(
      ({ games: all }) => setGames(
        all.filter(({ owner }) => who.role === "admin" || owner === who.player)
          .map(({ id, spec }) => ({ id, name: spec.name })),
      ),
      () => setGames([]),
    );
  }, [key]);
  return games;
}
