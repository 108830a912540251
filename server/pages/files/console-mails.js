/* The mails that wait, were sent, or could not be sent. What stands in them is not shown. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { filters } from "./console-filters.js";
import { choice, field } from "./console-form.js";
import { List } from "./console-list.js";
import { stayAt, to } from "./console-place.js";
import { worker } from "./console-trouble.js";
import { at, badge, name, since, whole, wordsFor } from "./console-words.js";
import { el } from "./dom.js";
import { pageSettings } from "./layout.js";
import { language, t } from "./messages.js";

const TONES = { waiting: "late", sent: "good", given_up: "bad" };
const number = new Intl.NumberFormat(language);

export function open({ query }) {
  const said = el("div", { class: "said" });
  const state = choice(
    "state",
    [["", t("console.mails.any_state")], ...Object.keys(TONES).map((each) => [each, t(`console.mails.state.${each}`)])],
    query.get("state") ?? "",
  );
  const list = new List({
    name: "mails",
    caption: t("console.mails.title"),
    empty: t("console.mails.none"),
    columns: [
      { title: t("console.mails.recipient"), cell: recipient, className: "recipient" },
      { title: t("console.mails.kind"), cell: (mail) => wordsFor("console.mails.kind", mail.kind) },
      { title: t("console.state"), cell: told },
      { title: t("console.mails.made"), cell: (mail) => since(mail.created_at) },
      { title: t("console.mails.attempts"), cell: (mail) => number.format(mail.attempts), className: "number" },
      { title: t("console.action"), cell: (mail) => canRetry(mail) && retry(mail) },
    ],
    load: async ({ cursor }) => {
      const answer = await api("GET", "/mails", { query: { state: state.value, cursor } });
      return { rows: answer.mails, next_cursor: answer.next_cursor };
    },
  });

  function retry(mail) {
    return worker({
      label: t("console.mails.retry"),
      of: `${mail.recipient}, ${wordsFor("console.mails.kind", mail.kind)}`,
      kind: "small",
      place: said,
      work: async () => {
        await api("POST", `/mails/${mail.id}/retry`);
        await list.show();
        list.focus();
        announce(t("console.mails.retried"));
      },
    });
  }

  const asked = filters([field(state, t("console.state"))], () => {
    stayAt(to("mails", { state: state.value }));
    list.restart();
  });
  list.show();
  return { title: t("console.mails.title"), content: [offNote(), asked, said, list.element] };
}

/** Something to read only where no mail is sent. */
function offNote() {
  const note = el("p", { class: "notice", hidden: true }, t("console.mails.off"));
  pageSettings().then(
    ({ mail }) => {
      note.hidden = mail.enabled;
    },
    () => {},
  );
  return note;
}

function recipient({ recipient: address, user_id: user }) {
  return user ? el("a", { href: to("users", { id: user }) }, name(address)) : name(address);
}

/** The state, since when or until when, and why it is so. */
function told(mail) {
  const when = {
    waiting: () => [t("console.mails.next"), " ", at(mail.next_attempt_at)],
    sent: () => at(mail.ended_at),
    given_up: () => at(mail.ended_at),
  }[mail.state];
  return [
    badge(wordsFor("console.mails.state", mail.state), TONES[mail.state]),
    when && el("small", {}, when()),
    mail.reason && el("small", { class: "reason" }, whole(mail.reason)),
  ].filter(Boolean);
}

/** A mail that has not been tried yet goes out by itself. */
function canRetry({ state, attempts }) {
  return state === "given_up" || (state === "waiting" && attempts > 0);
}
