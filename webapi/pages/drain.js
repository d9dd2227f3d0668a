/** Emptying the installation before an upgrade: for admins. */

import { ask } from "./operator.js";
import { Sure } from "./sure.js";
import { duration, html, useEffect, useState } from "./ui.js";

const REFRESH_MS = 3000;

/** @typedef {{waiting_tickets: number, live_matches: number, idle_servers: number, done: boolean,
 *   drain?: {since: string, note: string, deadline?: string}}} Drained */
export function Drain() {
  const { answer, error, again } = useDrain();
  const left = answer && `${answer.live_matches} matches, ${answer.waiting_tickets} tickets and ${answer.idle_servers} idle servers`;
  const order = answer?.drain;
  return html`
    <section class="card" aria-labelledby="drain-title">
      <h2 id="drain-title">Drain</h2>
      ${error && html`<p class="notice bad">${error}</p>`}
      ${answer && (order
        ? html`
          <p class="notice">${answer.done ? "All is empty." : `${left} are left.`} No new match is made
            since ${duration((Date.now() - Date.parse(order.since)) / 1000)}${order.note && `: ${order.note}`}.</p>
          <${Sure} key="off" text="Go on as usual" sure="Make matches again" done=${again}
            act=${() => ask("v1/drain", { method: "DELETE" })} />`
        : html`
          <p class="empty">Before an upgrade: no new match is made, running ones (${answer.live_matches}) come to their end,
            tickets wait on.</p>
          <${Sure} key="on" text="Drain this installation" sure="Make no new match" done=${again}
            act=${() => ask("v1/drain", { method: "PUT", body: {} })} />`)}
    </section>`;
}

/** @returns {{answer?: Drained, error?: string, again: () => void}} */
function useDrain() {
  const [shown, show] = useState({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    const load = () => ask("v1/drain").then(
      (answer) => over || show({ answer }),
      (error) => over || show((before) => (before.answer ? before : { error: error.message })),
    );
    load();
    const timer = setInterval(() => document.hidden || load(), REFRESH_MS);
    return () => { over = true; clearInterval(timer); };
  }, [turn]);
  return { ...shown, again: () => setTurn(turn + 1) };
}
