/* What the server says of a field is in English. Here it is in the language of the page, where it has a message for it. */

import { t } from "./messages.js";

// Each sentence of the server with the message that it becomes. What is in brackets is a value of the message.
const SENTENCES = [
  [/^Use at least (?<count>\d+) characters;/, "field.too_short"],
  [/^Use at most (?<count>\d+) bytes/, "field.too_long"],
  [/^This is little more than your own names/, "field.own_names"],
  [/^Use more than a few different characters/, "field.few_characters"],
  [/^This is in lists of common and leaked passwords;/, "field.leaked"],
  [/^This is easy to guess,/, "field.easy"],
  [/ at most (?<count>\d+) characters\.$/, "field.most"],
  [/^Give a name\.$| at least 1 character\.$/, "form.required"],
  [/^Spaces are not allowed\.$/, "field.spaces"],
  [/^Control characters and line breaks are not allowed\.$/, "field.controls"],
  [/^Use letters of one script:/, "field.one_script"],
  [/^The character (?<character>U\+[0-9A-F]+) can't be in a username\.$/, "field.character"],
  [/^A name with an @ takes an invitation/, "field.address_name"],
  [/^Give an address of one of these domains: (?<domains>.*)\.$/, "field.domains"],
  [/^Write this address as (?<address>.*)\.$/, "field.address_form"],
  [/^An invitation for one address can be used once\.$/, "field.one_use"],
  [/^Input should be a valid integer/, "field.number"],
  [/^Input should be greater than or equal to (?<least>\d+)\.$/, "field.at_least"],
  [/^Input should be less than or equal to (?<most>\d+)\.$/, "field.at_most"],
];

/** The sentence for people. What is wrong with the syntax of an address a library says in many ways. */
export function fieldWords(sentence, field) {
  for (const [pattern, key] of SENTENCES) {
    const found = pattern.exec(sentence);
    if (found) return t(key, found.groups);
  }
  return field === "email" ? t("field.email") : sentence;
}
