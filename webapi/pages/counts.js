/** What analytics counted by the minute, and what cannot be right. */

import { ask, path } from "./operator.js";
import { Who } from "./story.js";
import { html, shortId, useEffect, useState } from "./ui.js";

const REFRESH_MS = 5000;
const MINUTES = 60;
const FLAGS = 50;
// What is shown first, in words; whatever else was counted follows under its own name.
const NAMES = {
  session_created: "Matches started", session_removed: "Matches over", "session_removed:FAILED": "... of them failed",
  match_failed: "Never played", player_joined_session: "Players joined", player_left_session: "Players left",
  ticket_created: "Tickets", ticket_cancelled: "Tickets cancelled", ticket_timed_out: "Tickets timed out",
  tank_moved: "Moves", tank_shot: "Shots", tank_took_damage: "Hits", damage: "Damage, hit points", tank_destroyed: "Destroyed",
  items_exchanged: "Exchanges", game_action: "Other actions", player_online: "Came online", player_offline: "Went offline",
  flags: "Flags", user_logged_in: "Logins", user_login_failed: "Failed logins", user_registered: "Accounts made",
  guest_made: "Guests", guest_refused: "Guests refused",
};
const BAD = ["session_removed:FAILED", "match_failed", "ticket_timed_out", "ticket_failed", "user_login_failed", "flags"];

/** What to say where nobody counts; "" where somebody does. @param {{counting: boolean, counted_at?: string}} answer */
const nobody = ({ counting, counted_at }) =>
  counting ? "" : `${counted_at ? `Nobody has counted since ${counted_at.slice(0, 19).replace("T", " ")}` : "Nobody ever counted"}: start python -m core.analytics.`;

/** @param {{games: {id: string, name: string}[], admin: boolean}} props games that may be looked at */
export function Counts({ games, admin }) {
  const [chosen, choose] = useState("");
  const site = admin && (chosen === "" || !games.some(({ id }) => id === chosen));
  const game = site ? "" : games.find(({ id }) => id === chosen)?.id ?? games[0]?.id ?? "";
  const found = useAsked(site ? `v1/analytics?minutes=${MINUTES}` : game && `v1/games/${path(game)}/analytics?minutes=${MINUTES}`);
  const rows = Object.entries(found.answer?.counts ?? {}).sort(([a], [b]) => order(a) - order(b) || (a < b ? -1 : 1));
  return html`
    <section class="card" aria-labelledby="counts-title">
      <header>
        <h2 id="counts-title">The last hour</h2>
        <select aria-label="Counts of" value=${game} onChange=${(event) => choose(event.target.value)}>
          ${admin && html`<option value="">The installation</option>`}
          ${games.map(({ id, name }) => html`<option key=${id} value=${id}>${name || id}</option>`)}
        </select>
      </header>
      ${found.error && html`<p class="notice bad">${found.error}</p>`}
      ${found.answer && (nobody(found.answer) || !rows.length) && html`
        <p class="empty">${nobody(found.answer) || "Nothing happened in the last hour."}</p>`}
      <table class="counts">
        <tbody>${rows.map(([name, values]) => html`
          <tr key=${name} class=${BAD.includes(name) ? "bad" : ""}>
            <th scope="row">${NAMES[name] ?? name.replaceAll("_", " ")}</th>
            <td><${Bars} values=${values} since=${found.answer.since} /></td>
            <td class="number">${short(sum(values))}</td>
          </tr>`)}
        </tbody>
      </table>
    </section>`;
}

/** A bar a minute. */
function Bars({ values, since }) {
  const most = Math.max(1, ...values);
  const minute = (n) => new Date(Date.parse(since) + n * 60_000).toISOString().slice(11, 16);
  return html`
    <svg class="by-minute" viewBox=${`0 0 ${values.length * 4} 24`} preserveAspectRatio="none" role="img"
      aria-label=${`most in a minute: ${short(Math.max(...values))}`}>
      ${values.map((value, n) => value > 0 && html`
        <rect key=${n} x=${n * 4 + 0.5} width="3" y=${24 - Math.max(1.5, (value / most) * 24)}
          height=${Math.max(1.5, (value / most) * 24)}><title>${`${minute(n)} ${short(value)}`}</title></rect>`)}
    </svg>`;
}

/** @param {{games: {id: string}[], admin: boolean}} props */
export function Flags({ games, admin }) {
  const paths = admin ? [`v1/flags?limit=${FLAGS}`] : games.map(({ id }) => `v1/games/${path(id)}/flags?limit=${FLAGS}`);
  const { answers, error } = useAll(paths);
  const flags = answers?.flatMap((one) => one.flags).sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, FLAGS);
  const uncounted = answers?.map(nobody).find(Boolean);
  return html`
    <section class="card" aria-labelledby="flags-title">
      <h2 id="flags-title">What cannot be right</h2>
      ${error && html`<p class="notice bad">${error}</p>`}
      ${uncounted && html`<p class="empty">${uncounted}</p>`}
      ${flags && !flags.length && !uncounted && html`<p class="empty">Nothing: no tank too fast, no damage too high, no storm of logins.</p>`}
      ${flags?.length > 0 && html`
        <table>
          <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Who</th><th scope="col">Match</th></tr></thead>
          <tbody>${flags.map((flag) => html`
            <tr key=${`${flag.game}${flag.id}`}>
              <td><time datetime=${flag.at}>${flag.at.slice(11, 19)}</time></td>
              <th scope="row">${flag.event.replaceAll("_", " ")} <small>${told(flag)}</small></th>
              <td>${flag.player ? html`<${Who} id=${flag.player} name="" game=${flag.game} />` : flag.about.who}</td>
              <td>${flag.match && html`<a href=${`#/match/${path(flag.game, flag.match)}`}>${shortId(flag.match)}</a>`}</td>
            </tr>`)}
          </tbody>
        </table>`}
    </section>`;
}

function told({ event, about }) {
  if (event === "impossible_speed") return `${about.metres} m in ${about.within_ms / 1000} s, ${about.allowed_metres} allowed`;
  if (event === "impossible_damage") return `${about.damage ?? "no number"}, ${about.allowed_damage} allowed`;
  return `${about.failures} failures a minute by ${about.by}, ${about.allowed} allowed`;
}

const order = (name) => { const at = Object.keys(NAMES).indexOf(name); return at < 0 ? 999 : at; };
const sum = (values) => values.reduce((total, value) => total + value, 0);
const short = (value) => value.toLocaleString("en", { notation: value < 100_000 ? "standard" : "compact", maximumFractionDigits: 1 });

function useAsked(what) {
  const { answers, error } = useAll(what ? [what] : []);
  return { answer: answers?.[0], error };
}

/** The answers to all, asked again and again while the tab is in sight. */
function useAll(paths) {
  const [shown, show] = useState({});
  const key = paths.join(" ");
  useEffect(() => {
    let over = false;
    show({});
    const load = () => Promise.all(paths.map((one) => ask(one))).then(
      (answers) => over || show({ answers }),
      (error) => over || show((before) => (before.answers ? before : { error: error.message })),
    );
    load();
    const timer = setInterval(() => document.hidden || load(), REFRESH_MS);
    return () => { over = true; clearInterval(timer); };
  }, [key]);
  return shown;
}
