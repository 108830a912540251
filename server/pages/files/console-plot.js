/* Small plots. They are pictures of numbers that stand beside them as text or in a table. */

import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Columns side by side, each of parts on top of each other: `columns` are `{title, parts: [[className, number], …]}`. */
export function columnPlot({ label, columns }) {
  const height = 64;
  const most = Math.max(1, ...columns.map(({ parts }) => sum(parts)));
  const drawn = columns.map(({ title, parts }, index) => {
    let top = height;
    const bars = parts
      .filter(([, number]) => number > 0)
      .map(([className, number]) => {
        // A single one among thousands is still seen.
        const high = Math.max(1, (number / most) * (height - 2));
        top -= high;
        return svg("rect", { class: className, x: index * 10 + 1.5, y: Math.max(0, top), width: 7, height: high });
      });
    const ground = svg("rect", { class: "ground", x: index * 10, y: 0, width: 10, height });
    return svg("g", {}, svg("title", {}, title), ground, ...bars);
  });
  return svg(
    "svg",
    {
      class: "columns",
      role: "img",
      "aria-label": label,
      viewBox: `0 0 ${columns.length * 10} ${height}`,
      preserveAspectRatio: "none",
    },
    ...drawn,
  );
}

function sum(parts) {
  return parts.reduce((total, [, number]) => total + number, 0);
}

/** A bar that is filled by that part, from 0 to 1. What it says stands beside it. */
export function bar(part, className = "") {
  const drawn = svg(
    "svg",
    { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "ground", x: 0, y: 0, width: 100, height: 10 }),
    svg("rect", { class: `filled ${className}`, x: 0, y: 0, width: Math.max(0, Math.min(1, part)) * 100, height: 10 }),
  );
  return el("span", { class: "bar-box" }, drawn);
}
