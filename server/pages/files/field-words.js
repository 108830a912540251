/* What the server says of a field is in English. Here it is in the language of the page, where it has a message for it. */

import { has, t } from "./messages.js";

// Each sentence of the server with the message that it becomes. What is in brackets is a value of the message.
const SENTENCES = [
  [/^Use at least (?<count>\d+) characters;/, "field.too_short"],
  [/^Use at most (?<count>\d+) bytes\.$/, "field.too_long"],
  [/^This is little more than your own names/, "field.own_names"],
  [/^Use more than a few different characters\.$/, "field.few_characters"],
  [/^This is in lists of common and leaked passwords;/, "field.leaked"],
  [/^This is easy to guess,/, "field.easy"],
];

/** The sentence for people. */
export function fieldWords(sentence) {
  for (const [pattern, key] of SENTENCES) {
    const found = pattern.exec(sentence);
    if (found && has(key)) return t(key, found.groups);
  }
  return sentence;
}
