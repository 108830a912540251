/* A user agent in words: "Firefox on Linux". What is not known is shown as it is. */

import { foreign } from "./dom.js";
import { t } from "./messages.js";

// The first that fits counts: most browsers also name those that they descend from.
const BROWSERS = [
  [/\bEdg(?:A|iOS)?\//, "Edge"], [/\bOPR\//, "Opera"], [/\bSamsungBrowser\//, "Samsung Internet"], [/\bVivaldi\//, "Vivaldi"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"], [/\bHeadlessChrome\//, "Chrome"], [/\bChrome\/|\bCriOS\//, "Chrome"],
  [/\bVersion\/[\d.]+ .*Safari\//, "Safari"],
];
const SYSTEMS = [
  [/\biPhone\b/, "iPhone"], [/\biPad\b/, "iPad"], [/\bAndroid\b/, "Android"], [/\bWindows\b/, "Windows"], [/\bCrOS\b/, "ChromeOS"],
  [/\bMacintosh\b/, "macOS"], [/\bLinux\b/, "Linux"],
];
const PROGRAM = /^([A-Za-z][\w.-]{1,30})\/\d[\w.]*(?: |$)/;

/** What signed in, for people: a text, or an element if it is text of others. */
export function device(agent) {
  if (!agent) return t("device.unknown");
  const of = (list) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = of(BROWSERS);
  const system = of(SYSTEMS);
  if (browser && system) return t("device.browser_on", { browser, system });
  if (browser) return browser;
  const program = agent.startsWith("Mozilla/") ? null : PROGRAM.exec(agent)?.[1];
  return program ?? foreign(agent, { most: 60 });
}
