/* The figures of the last 24 hours. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { bar, columnPlot } from "./console-plot.js";
import { to } from "./console-place.js";
import { table } from "./console-table.js";
import { worker } from "./console-trouble.js";
import { name } from "./console-words.js";
import { el } from "./dom.js";
import { language, t } from "./messages.js";

const number = new Intl.NumberFormat(language);
const hour = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });

export async function open() {
  const place = el("div");
  const said = el("div", { class: "said" });
  place.replaceChildren(...figures(await api("GET", "/stats")));
  const again = worker({
    label: t("console.today.refresh"),
    place: said,
    work: async () => {
      place.replaceChildren(...figures(await api("GET", "/stats")));
      announce(t("console.today.refreshed"));
    },
  });
  return { title: t("console.today.title"), content: [place, said, el("p", { class: "actions" }, again)] };
}

function figures({ users, sessions_live: sessions, sign_ins: hours, hash_queue: queue }) {
  const succeeded = total(hours, "succeeded");
  const failed = total(hours, "failed");
  return [
    el(
      "dl",
      { class: "figures" },
      figure(t("console.today.users"), users.total, to("users")),
      figure(t("console.today.disabled"), users.disabled, to("users", { disabled: "true" })),
      figure(t("console.today.sessions"), sessions),
      figure(t("console.today.succeeded"), succeeded, to("audit", { event: "login_succeeded" })),
      figure(t("console.today.failed"), failed, to("audit", { event: "login_failed" })),
    ),
    el("h2", {}, t("console.today.sign_ins")),
    signIns(hours, t("console.today.plot", { succeeded: number.format(succeeded), failed: number.format(failed) })),
    el("h2", {}, t("console.today.by_role")),
    byRole(users),
    el("h2", {}, t("console.today.queue")),
    hashQueue(queue),
  ];
}

function total(hours, member) {
  return hours.reduce((sum, each) => sum + each[member], 0);
}

function figure(label, value, href) {
  const shown = number.format(value);
  return el("div", {}, el("dt", {}, label), el("dd", {}, href ? el("a", { href }, shown) : shown));
}

function signIns(hours, label) {
  const columns = hours.map((each) => ({
    title: `${span(each)}: ${t("console.today.plot", { succeeded: number.format(each.succeeded), failed: number.format(each.failed) })}`,
    parts: [
      ["succeeded", each.succeeded],
      ["failed", each.failed],
    ],
  }));
  const marks = hours
    .filter((_, index) => index % 6 === 0)
    .map((each) => el("span", {}, hour.format(new Date(each.hour))));
  return el(
    "figure",
    {},
    columnPlot({ label, columns }),
    el("p", { class: "axis", "aria-hidden": "true" }, marks, el("span", {}, t("console.today.now"))),
    el(
      "figcaption",
      {},
      el("span", { class: "legend succeeded" }, t("console.today.succeeded")),
      el("span", { class: "legend failed" }, t("console.today.failed")),
    ),
    el(
      "details",
      {},
      el("summary", {}, t("console.today.as_table")),
      table({
        caption: t("console.today.sign_ins"),
        columns: [
          { title: t("console.today.hour"), cell: span },
          { title: t("console.today.succeeded"), cell: (each) => number.format(each.succeeded), className: "number" },
          { title: t("console.today.failed"), cell: (each) => number.format(each.failed), className: "number" },
        ],
        rows: [...hours].reverse(),
      }),
    ),
  );
}

function span({ hour: begins }) {
  const begin = new Date(begins);
  return `${hour.format(begin)} – ${hour.format(new Date(begin.getTime() + 3_600_000))}`;
}

function byRole({ by_role: counts, total: all }) {
  return table({
    caption: t("console.today.by_role"),
    columns: [
      { title: t("console.role"), cell: ([role]) => el("a", { href: to("users", { role }) }, name(role)) },
      { title: t("console.today.users"), cell: ([, of]) => number.format(of), className: "number" },
      { title: t("console.today.share"), cell: ([, of]) => bar(of / Math.max(1, all)) },
    ],
    rows: Object.entries(counts),
  });
}

function hashQueue({ waiting, limit }) {
  const part = waiting / Math.max(1, limit);
  return el(
    "div",
    { class: "queue" },
    el("p", {}, t("console.today.waiting", { waiting: number.format(waiting), limit: number.format(limit) })),
    bar(part, part > 0.5 ? "failed" : ""),
    el("p", { class: "hint" }, t("console.today.queue_text")),
  );
}
