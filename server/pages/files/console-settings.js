/* The settings in force. What is secret is masked by the server. */

import { api } from "./api.js";
import { filtered } from "./console-filters.js";
import { field, input } from "./console-form.js";
import { badge, whole, wordsFor } from "./console-words.js";
import { el } from "./dom.js";
import { count, t } from "./messages.js";

const LONGEST_VALUE = 160;

export async function open() {
  const { settings, warnings } = await api("GET", "/settings");
  const search = input("q", { type: "search", autocapitalize: "none", spellcheck: "false" });
  const changed = input("changed", { type: "checkbox" });
  const found = filtered({
    fields: [field(search, t("console.settings.search")), field(changed, t("console.settings.changed"))],
    rows: settings,
    columns: columns(),
    caption: t("console.settings.title"),
    none: t("console.settings.none"),
    fits: (setting) =>
      (!changed.checked || setting.source !== "default") &&
      textOf(setting).includes(search.value.trim().toLowerCase()),
    shown: (number) => count("console.settings.shown", number),
  });
  return {
    title: t("console.settings.title"),
    content: [
      el("p", {}, t("console.settings.text")),
      ...warnings.map((warning) => el("p", { class: "notice", lang: "en" }, whole(warning, 400))),
      ...found,
    ],
  };
}

function textOf({ name, value }) {
  return `${name} ${shown(value)}`.toLowerCase();
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function code(value) {
  if (value === "") return el("span", { class: "muted" }, t("console.settings.empty"));
  return el("code", {}, whole(shown(value), LONGEST_VALUE));
}

function columns() {
  return [
    { title: t("console.settings.name"), cell: ({ name }) => el("code", {}, name) },
    { title: t("console.settings.value"), cell: ({ value }) => code(value) },
    {
      title: t("console.settings.source"),
      cell: ({ source }) =>
        source === "default"
          ? wordsFor("console.settings.from", source)
          : badge(wordsFor("console.settings.from", source)),
    },
    {
      title: t("console.settings.default"),
      cell: (setting) => (setting.source === "default" || setting.default === undefined ? null : code(setting.default)),
    },
  ];
}
