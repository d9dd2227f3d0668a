/** A button for what cannot be taken back. */

import { html, useState } from "./ui.js";

/** A button that does nothing until it was pressed, and then its confirmation. */
export function Sure({ text, sure, act, done }) {
  const [state, set] = useState({ asked: false, error: "" });
  const go = async () => {
    try {
      await act();
      set({ asked: false, error: "" });
      done();
    } catch (error) {
      set({ asked: false, error: error.message });
    }
  };
  return html`
    <span class="sure">
      ${state.asked
        ? html`<button class="danger" onClick=${go}>${sure}</button>
            <button onClick=${() => set({ asked: false, error: "" })}>Leave it</button>`
        : html`<button onClick=${() => set({ asked: true, error: "" })}>${text}</button>`}
      ${state.error && html`<small role="alert">${state.error}</small>`}
    </span>`;
}
