/* The sections of /account about sessions and sign-ins. */

import { announce, notice } from "./announce.js";
import { api } from "./api.js";
import { device } from "./device.js";
import { confirm } from "./dialog.js";
import { byId, el, focusOn, foreign } from "./dom.js";
import { ago, has, t, time } from "./messages.js";
import { pagedList } from "./more.js";
import { Problem, words } from "./problem.js";
import { signOut } from "./session.js";

/** Show both lists. Returns a function that reads the sessions anew. */
export function showSessions() {
  const list = byId("sessions");
  const others = byId("end-others");
  const reload = pagedList(list, "/me/sessions", "sessions", sessionRow);
  const read = async () => {
    await reload();
    others.hidden = list.childElementCount < 2;
  };
  // The button that was pressed is gone, so the keyboard goes on at the title.
  const readOn = async () => {
    await read();
    focusOn(byId("sessions-title"));
  };

  function sessionRow(session) {
    const words = [
      el("p", {}, el("b", {}, device(session.user_agent)), " ",
        session.current && el("span", { class: "badge good" }, t("sessions.current"))),
      el("p", { class: "muted small" }, t("sessions.used", { ago: ago(session.last_used_at) }), " · ",
        t("sessions.since", { time: time(session.created_at) }), " · ", foreign(session.ip ?? t("sessions.no_ip"))),
    ];
    const end = session.current ? null : el("button", { type: "button", class: "small", "data-action": "end" }, t("sessions.end"));
    end?.setAttribute("aria-label", t("sessions.end_label", { time: time(session.created_at) }));
    end?.addEventListener("click", () => during(end, async () => {
      await api("DELETE", `/me/sessions/${session.id}`).catch((problem) => {
        if (problem.code !== "not_found") throw problem;
      });
      announce(t("sessions.ended"));
      await readOn();
    }));
    return el("li", { "data-session": session.id, "data-current": session.current }, el("div", {}, words), end);
  }

  others.addEventListener("click", () => during(others, async () => {
    await api("DELETE", "/me/sessions");
    announce(t("sessions.ended"));
    await readOn();
  }));
  const all = byId("end-all");
  all.addEventListener("click", () => during(all, async () => {
    const question = { title: t("sessions.all_title"), text: t("sessions.all_text"), action: t("sessions.end_all"), danger: true };
    if (!await confirm(question)) return;
    await api("DELETE", "/me/sessions");
    await signOut();
  }));

  read();
  pagedList(byId("sign-ins"), "/me/sign-ins", "sign_ins", signInRow, { empty: t("sign_ins.none") })();
  return read;
}

function signInRow({ at, succeeded, ip, user_agent: agent, reason }) {
  const key = `sign_ins.reason.${(reason ?? "").replaceAll(" ", "_")}`;
  const why = has(key) ? t(key) : "";
  const badge = succeeded
    ? el("span", { class: "good" }, t("sign_ins.succeeded"))
    : el("span", { class: "bad" }, t("sign_ins.failed"), why && `: ${why}`);
  return el("li", {}, el("div", {}, [
    el("p", {}, badge),
    el("p", { class: "muted small" }, el("time", { datetime: at }, time(at)), " · ", foreign(ip ?? t("sessions.no_ip")),
      agent ? [" · ", device(agent)] : []),
  ]));
}

/** Do it, but not twice at once. What goes wrong is said at the top.
 *
 * The button is not disabled meanwhile: else it could not get the focus back from a dialog. */
async function during(button, action) {
  if (button.dataset.busy) return;
  button.dataset.busy = "yes";
  notice("account");
  try {
    await action();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status !== 401) notice("account", words(problem));
  } finally {
    delete button.dataset.busy;
  }
}
