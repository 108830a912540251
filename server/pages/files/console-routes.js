/* The routes with their rules, and what a rule would decide. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { reasonWords } from "./console-reasons.js";
import { filtered } from "./console-filters.js";
import { choice, field, form, input } from "./console-form.js";
import { roles } from "./console-roles.js";
import { badge, whole, wordsFor } from "./console-words.js";
import { el } from "./dom.js";
import { count, t } from "./messages.js";

const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"];

export async function open() {
  const [{ routes }, names] = await Promise.all([api("GET", "/routes"), roles()]);
  const search = input("q", { type: "search", autocapitalize: "none", spellcheck: "false" });
  const found = filtered({
    fields: [field(search, t("console.routes.search"))],
    rows: routes,
    columns: columns(),
    caption: t("console.routes.title"),
    none: t("console.routes.none"),
    fits: ({ method, path, access }) =>
      `${method} ${path} ${access}`.toLowerCase().includes(search.value.trim().toLowerCase()),
    shown: (number) => count("console.routes.shown", number),
  });
  return {
    title: t("console.routes.title"),
    content: [
      el("h2", {}, t("console.explain.title")),
      explain(names),
      el("h2", {}, t("console.routes.all")),
      el("p", {}, t("console.routes.text")),
      ...found,
    ],
  };
}

function explain(names) {
  const answer = el("div", { class: "said" });
  const asked = form({
    name: "explain",
    fields: [
      field(
        choice(
          "method",
          METHODS.map((each) => [each, each]),
          "GET",
        ),
        t("console.explain.method"),
      ),
      field(
        input("path", {
          required: true,
          value: "/users",
          autocapitalize: "none",
          spellcheck: "false",
          inputmode: "url",
        }),
        t("console.explain.path"),
      ),
      field(
        choice("role", [["", t("console.explain.nobody")], ...names.map((each) => [each, each])]),
        t("console.explain.role"),
      ),
    ],
    action: t("console.explain.ask"),
    codes: { not_found: "path" },
    submit: async ({ method, path, role }) => {
      answer.replaceChildren();
      const decided = await api("GET", "/explain", { query: { method, path: path.trim(), role } });
      answer.replaceChildren(...verdict(decided));
      announce(answer.textContent);
    },
  });
  asked.classList.add("explain");
  return el("div", {}, el("p", {}, t("console.explain.text")), asked, answer);
}

function verdict({ method, path, allowed, reason, recent }) {
  return [
    el(
      "div",
      { class: `notice ${allowed ? "good" : "bad"}` },
      el(
        "p",
        {},
        el("strong", {}, t(allowed ? "console.explain.allowed" : "console.explain.denied")),
        ": ",
        el("code", {}, whole(`${method} ${path}`)),
      ),
      el("p", {}, whole(reasonWords(reason), 400)),
      allowed && recent && el("p", {}, recentWords(recent)),
    ),
  ];
}

function recentWords(recent) {
  return `${t("console.routes.asks_recent")} ${wordsFor("console.recent", recent)}.`;
}

function columns() {
  return [
    { title: t("console.routes.route"), cell: ({ method, path }) => el("code", {}, `${method} ${path}`) },
    {
      title: t("console.routes.access"),
      cell: ({ access, roles: may }) => [wordsFor("console.access", access), including(access, may)],
    },
    { title: t("console.routes.recent"), cell: ({ recent }) => recent && wordsFor("console.recent", recent) },
    {
      title: t("console.routes.rule"),
      cell: ({ overridden }) => overridden && badge(t("console.routes.overridden"), "late"),
    },
  ];
}

/** Roles that include one of those of the rule. */
function including(access, may) {
  const others = (may ?? []).filter((role) => !access.split(", ").includes(role));
  return others.length > 0 && el("small", {}, t("console.routes.including", { roles: others.join(", ") }));
}
