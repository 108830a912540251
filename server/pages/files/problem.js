/* What went wrong, in words. */

import { announce } from "./announce.js";
import { has, span, t } from "./messages.js";

/** A failure. `code` is the server's (RFC 9457); or "network" with status 0 if there was no answer. */
export class Problem extends Error {
  constructor({ status = 0, code = "", detail = "", errors = [], retryAfter = 0, request = "", reason = "", values = {} }) {
    super(detail || code);
    Object.assign(this, { status, code, detail, errors, retryAfter, request, reason, values });
  }
}

/** A sentence for people. The server's own is in English, and used where there is no message for the code. */
export function words(problem) {
  if (!(problem instanceof Problem)) throw problem;
  const key = `problem.${problem.code}`;
  const values = { status: problem.status, request: problem.request, ...problem.values };
  return has(key) ? t(key, values) : problem.detail || t("problem.unknown", values);
}

/** Keep a button out of order for so many seconds, and let it say how long by the message `wait`; then it is as before. */
export function countdown(button, seconds, { wait = "form.wait", ready = "form.ready" } = {}) {
  const label = button.textContent;
  const end = Date.now() + seconds * 1000;
  button.disabled = true;
  return new Promise((done) => {
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left > 0) {
        button.textContent = t(wait, { time: span(left) });
        setTimeout(tick, 250);
        return;
      }
      button.textContent = label;
      button.disabled = false;
      announce(t(ready));
      done();
    };
    tick();
  });
}
