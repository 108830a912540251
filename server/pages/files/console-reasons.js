/* What the server says of a decision is in English. Here it is in the language of the page. */

import { wordsFor } from "./console-words.js";
import { has, t } from "./messages.js";

const SENTENCES = [
  [/^anyone may call it, with or without a token$/, "anyone"],
  [/^any user with a valid token may call it$/, "any_user"],
  [/^it takes a token; it is open to: (?<rule>.*)$/, "takes_token"],
  [/^it is open to: (?<rule>.*); (?<role>\S+) includes (?<wanted>\S+)$/, "includes"],
  [/^it is open to: (?<rule>.*); (?<role>\S+) is not and does not include any of these$/, "not_enough"],
  [/^it is open to: (?<rule>.*)$/, "open_to"],
];

/** The sentence for people. */
export function reasonWords(reason) {
  for (const [pattern, key] of SENTENCES) {
    const found = pattern.exec(reason);
    if (!found || !has(`console.explain.${key}`)) continue;
    const { rule = "", ...others } = found.groups ?? {};
    return t(`console.explain.${key}`, { rule: wordsFor("console.access", rule), ...others });
  }
  return reason;
}
