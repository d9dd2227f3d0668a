/** A small line chart of the last minutes. */

import uPlot from "./vendor/uplot/uPlot.mjs";
import { html, useEffect, useRef } from "./ui.js";

const HEIGHT_PX = 96;
const CORNER_S = 15; // about half a label of the time axis

/**
 * @param {{title: string, value: number, times: number[], values: (number | null)[], windowS: number,
 *   colour: string}} props `times` in seconds of the epoch; `colour` names a custom property
 */
export function Chart({ title, value, times, values, windowS, colour }) {
  const place = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    const element = place.current;
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, colour), [[], []], element);
    };
    const observer = new ResizeObserver(() => plot.current.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    make();
    observer.observe(element);
    scheme.addEventListener("change", make);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", make);
      plot.current.destroy();
    };
  }, [colour]);
  useEffect(() => {
    const now = times.at(-1) ?? Date.now() / 1000;
    plot.current.batch(() => {
      plot.current.setData([times, values], false);
      plot.current.setScale("x", { min: now - windowS, max: now });
    });
  }, [times, values, windowS, colour]);
  return html`
    <figure class="chart">
      <figcaption><span>${title}</span> <b>${value}</b></figcaption>
      <div ref=${place} role="img" aria-label=${`${title}, now ${value}, over the last ${windowS / 60} minutes`}></div>
    </figure>`;
}

function options(element, colour) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: read("--quiet"), font: "11px system-ui, sans-serif",
    grid: { stroke: read("--line"), width: 1 }, ticks: { show: false },
  };
  return {
    width: element.clientWidth || 240,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, Math.max(4, Math.ceil((high ?? 0) * 1.1))] } },
    axes: [
      { ...axis, size: 20, gap: 2, incrs: [60], values: minutes, grid: { show: false } },
      { ...axis, size: 28, gap: 4, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] },
    ],
    series: [{}, { stroke: read(colour), fill: read(`${colour}-soft`), width: 2, points: { show: false } }],
  };
}

/** Clock times below the chart, but none where it would run into the other axis. */
function minutes(plot, at) {
  const form = { hour: "2-digit", minute: "2-digit" };
  const first = plot.scales.x.min + CORNER_S;
  return at.map((seconds) => (seconds < first ? "" : new Date(seconds * 1000).toLocaleTimeString("en-GB", form)));
}
