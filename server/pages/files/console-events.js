/* Records of the audit log, in words. */

import { api } from "./api.js";
import { List } from "./console-list.js";
import { to } from "./console-place.js";
import { at, name, since, whole, wordsFor } from "./console-words.js";
import { device } from "./device.js";
import { el } from "./dom.js";
import { has, language, t } from "./messages.js";

const LONGEST_VALUE = 100;
// Only what the server writes itself is put into words: a name may look like a time, or like a reason.
const TIME = /_at$/;

/** A list of records. `query()` gives the filters. */
export function events({ name: keptAs, query, caption, limit = 50 }) {
  return new List({
    name: keptAs,
    caption,
    empty: t("console.audit.none"),
    columns: COLUMNS.map(([key, cell, className]) => ({ title: t(key), cell, className })),
    load: async ({ cursor }) => {
      const answer = await api("GET", "/audit", { query: { ...query(), limit, cursor } });
      return { rows: answer.events, next_cursor: answer.next_cursor };
    },
  });
}

const COLUMNS = [
  ["console.audit.event", (record) => el("strong", {}, wordsFor("console.event", record.event))],
  ["console.audit.at", (record) => [at(record.at), el("small", {}, since(record.at))]],
  ["console.audit.actor", (record) => who(record.actor_id, record.actor_name, record)],
  ["console.audit.target", (record) => target(record)],
  ["console.audit.details", details, "details"],
];

function who(id, called, { via }) {
  const from = via === "http" ? null : el("small", {}, wordsFor("console.via", via));
  if (!id) return [called ? name(called) : t(via === "server" ? "console.audit.server" : "console.audit.nobody"), from];
  return [el("a", { href: to("users", { id }) }, name(called ?? id)), from];
}

function target({ event, target_id: id, target_name: called }) {
  if (!id && !called) return "—";
  // Keys and invitations have no page of their own.
  if (event.startsWith("invitation_")) return called ? name(called) : t("console.invitations.anyone");
  if (!id || event.startsWith("keys_")) return name(called ?? id);
  return el("a", { href: to("users", { id }) }, name(called ?? id));
}

// Of use to who looks for one session, and in the way of all others.
const ASIDE = ["session_id"];

/** What has changed, then what seldom matters. */
function details(record) {
  const members = [...new Set([...Object.keys(record.before ?? {}), ...Object.keys(record.after ?? {})])];
  const changes = members.filter((member) => !ASIDE.includes(member)).map((member) => change(member, record));
  const more = [
    record.ip && [t("console.ip"), whole(record.ip)],
    ...members
      .filter((member) => ASIDE.includes(member))
      .map((member) => [label(member), value(record.after?.[member] ?? record.before?.[member], member)]),
    record.request_id && [t("console.audit.request"), whole(record.request_id)],
    [t("console.audit.number"), String(record.seq)],
  ].filter(Boolean);
  return [
    changes.length > 0 &&
      el(
        "ul",
        { class: "changes" },
        changes.map((each) => el("li", {}, each)),
      ),
    el(
      "details",
      {},
      el("summary", {}, t("console.audit.more")),
      el("dl", {}, more.map(([term, told]) => [el("dt", {}, term), el("dd", {}, told)]).flat()),
    ),
  ];
}

function change(member, { before, after }) {
  const told = [label(member), ": "];
  if (after?.[member] === undefined) return [...told, value(before[member], member)].flat();
  if (before?.[member] === undefined) return [...told, value(after[member], member)].flat();
  return [...told, value(before[member], member), " → ", value(after[member], member)].flat();
}

/** A member in words. Of a key it is the name of the key. */
function label(member) {
  return has(`console.field.${member}`) ? t(`console.field.${member}`) : name(member, 16);
}

function value(of, member) {
  if (member === "user_agent") return device(of);
  if (member === "user_id") return el("a", { href: to("users", { id: of }) }, name(of));
  if (of === null) return t("console.value.null");
  if (typeof of === "boolean") return t(`console.value.${of}`);
  if (typeof of === "number") return new Intl.NumberFormat(language).format(of);
  if (typeof of === "string") {
    if (TIME.test(member)) return at(of);
    return whole(member === "reason" ? wordsFor("console.reason", of) : of, LONGEST_VALUE);
  }
  if (Array.isArray(of))
    return whole(of.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(", "), LONGEST_VALUE);
  const parts = Object.entries(of).filter(([, each]) => each !== null);
  return parts.flatMap(([member, each], index) => [index ? "; " : "", label(member), " ", value(each, member)].flat());
}
