/* Words for an answer to a question about a token that is none. */

import { objectOf } from "./inspect-pasted.js";
import { span } from "./inspect-report.js";

/** A title and a sentence for an answer that is none. */
export function failure(response, text) {
  if (!response) return ["No answer", "This server does not answer. Is it running, and is the network there?"];
  const seconds = Number(response.headers.get("Retry-After"));
  const later = seconds ? `Try again in ${span(seconds)}.` : "Try again in a moment.";
  const closed = ["Not open here", "The settings of this server do not let everybody look into tokens on this page."];
  const known = {
    400: ["Not looked at", "What was pasted holds something that is no text."],
    401: closed,
    403: closed,
    408: ["No answer", "What was sent did not reach the server in time. Try again."],
    413: ["Not looked at", "This is more than the server reads at once, so it can't be a token."],
    422: ["Not looked at", "The server does not take this for a token: it is too long."],
    429: ["Too many questions", `The server was asked a lot just now. ${later}`],
    503: ["Busy", `The server has too much to do, or its database does not answer. ${later}`],
  }[response.status];
  const id = objectOf(text)?.request_id ?? "";
  const log = id ? ` Its log knows more, under ${id}.` : "";
  return known ?? ["No answer", `The server could not answer (status ${response.status}).${log}`];
}
