/* What the page says, in its language. */

export const language = document.documentElement.lang;

const messages = new Map();

/** Add the messages of another file, `console` for console.en.json. */
export async function load(name) {
  const response = await fetch(new URL(`./${name}.${language}.json`, import.meta.url));
  if (!response.ok) throw new Error(`${name}.${language}.json: ${response.status}`);
  for (const [key, message] of Object.entries(await response.json())) messages.set(key, message);
}

export function has(key) {
  return messages.has(key);
}

/** The message, with its placeholders filled in. A key that is not there is shown as it is, so that it is seen. */
export function t(key, values = {}) {
  const message = messages.get(key) ?? key;
  return message.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** As `t`, but the values are elements: a list of texts and elements. */
export function around(key, values) {
  return t(key).split(/\{(\w+)\}/).map((part, index) => (index % 2 ? values[part] : part));
}

/** As `t`, for a number of things: the message `key.one` or `key.other`. */
export function count(key, number, values = {}) {
  const rule = new Intl.PluralRules(language).select(number) === "one" ? "one" : "other";
  return t(`${key}.${rule}`, { count: new Intl.NumberFormat(language).format(number), ...values });
}

const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const UNITS = [["year", 31_556_952], ["month", 2_629_746], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** A time of the server in words, in this browser's time zone. */
export function time(iso) {
  return moment.format(new Date(iso));
}

export function date(iso) {
  return day.format(new Date(iso));
}

/** How long ago, or how far ahead: "3 minutes ago". Below a minute it is "now". */
export function ago(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000;
  if (Math.abs(seconds) < 60) return relative.format(0, "second");
  const [unit, size] = UNITS.find(([, least]) => Math.abs(seconds) >= least);
  return relative.format(Math.trunc(seconds / size), unit);
}

/** A length of time in its largest unit or two: "1:05" minutes for less than an hour. */
export function span(seconds) {
  const unit = (number, name, unitDisplay = "long") =>
    new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay }).format(number);
  if (seconds < 60) return unit(seconds, "second");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min`;
  const hours = unit(Math.floor(seconds / 3600), "hour");
  const minutes = Math.floor((seconds % 3600) / 60);
  return minutes ? `${hours} ${unit(minutes, "minute")}` : hours;
}

await load("messages");
