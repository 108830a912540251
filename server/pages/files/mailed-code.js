/* The field for a code from a mail, and the button for another mail. */

import { announce } from "./announce.js";
import { show } from "./dom.js";
import { tell } from "./form.js";
import { t } from "./messages.js";
import { countdown, Problem, words } from "./problem.js";

// The server sends only a few mails an hour to one address, so each pause is twice as long as the one before.
const PAUSE_SECONDS = 30;
const AGAIN = { wait: "code.again_in", ready: "code.again_ready" };

/** Ask for the code too: the link of the mail was opened in another browser than the one that asked for it. */
export function askForCode(form) {
  const field = form.elements.namedItem("code");
  field.required = true;
  show(field.closest(".field"), form.querySelector(".code-needed"));
  field.focus();
  announce(form.querySelector(".code-needed").textContent);
}

/** Let the button of this form send another mail by `send`, a while after the last one; at once if there was none. */
export function sendsAgain(form, send, { waits = true } = {}) {
  const button = form.querySelector(".again");
  let pause = PAUSE_SECONDS;
  const wait = () => {
    countdown(button, pause, AGAIN);
    pause *= 2;
  };
  button.addEventListener("click", async () => {
    if (button.disabled) return;
    button.disabled = true;
    try {
      await send();
      form.elements.namedItem("code").focus();
      announce(t("code.sent_again"));
      wait();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      button.disabled = false;
      tell(form, words(problem));
      // Only mails have to wait: the code of the last one can still be typed.
      if (problem.retryAfter) await countdown(button, problem.retryAfter, AGAIN);
    }
  });
  if (waits) wait();
  else button.disabled = false;
}
