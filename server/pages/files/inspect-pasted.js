/* From what was pasted to the token in it. What is in a clipboard is seldom the bare token. */

const OTHER_KINDS = {
  wwr: "This is a refresh token. It buys new access tokens, and only ever goes to `POST /refresh` and `POST /logout`. There " +
    "is nothing to read in it, so it was not sent. If anybody else has seen it, log out.",
  wwp: "This is a password reset token: whoever has it sets a new password, once, by `POST /password/reset`. There is " +
    "nothing to read in it, so it was not sent.",
  wwi: "This is an invitation token: whoever has it makes an account, by `POST /sign-up`. There is nothing to read in it, so " +
    "it was not sent.",
  wwf: "This is the token of a mailed link: with the code of the same mail it sets a new password, once. There is nothing " +
    "to read in it, so it was not sent.",
  wws: "This is the token of a mailed link: with the code of the same mail it signs in, once. There is nothing to read in " +
    "it, so it was not sent.",
  wwe: "This is the token of a mailed link: with the code of the same mail it confirms an address, once. There is nothing " +
    "to read in it, so it was not sent.",
};
const NO_TOKEN = "No token was found in what you pasted. A token is three parts of letters, digits, `-` and `_` with dots " +
  "between them. Nothing was sent.";
const LONGEST = 16384;

/** `{token, note}`; or `{other}` if that is not for the server, which says why; or nothing if there is nothing. */
export function readPasted(text) {
  const given = text.replace(/[\u200b-\u200d\u2060\ufeff]/g, "").trim();
  if (!given) return {};
  const token = tokenIn(given);
  const secret = /(ww[rpifse])_[\w-]{8}/.exec(token || given);
  if (secret) return { other: OTHER_KINDS[secret[1]] };
  if (!token) return { other: NO_TOKEN };
  if (token.length > LONGEST) return { other: `This is longer than any token: ${token.length} characters.` };
  if (token === given) return { token, note: "" };
  const beside = /wwr_/.test(given) ? " The refresh token beside it was left out." : "";
  return { token, note: `The token was taken out of what you pasted.${beside}` };
}

/** The bare token; "" if there is none, or more than one. */
function tokenIn(given) {
  const answer = objectOf(given);
  const named = [answer?.token, answer?.access_token].find((value) => typeof value === "string") ?? given;
  // A header line, in quotes or not, and broken into lines or not.
  const bare = named
    .replace(/^["'`\s]+|["'`,;\s]+$/g, "")
    .replace(/^authorization\s*:\s*/i, "")
    .replace(/^bearer\s+/i, "")
    .replace(/\s+/g, "");
  if (/^[\w.~+/=-]+$/.test(bare)) return bare;
  // A curl command, a cookie, a line of code: a header in base64url begins like this.
  const found = new Set(given.match(/eyJ[\w-]+\.[\w-]*\.[\w-]*/g));
  return found.size === 1 ? [...found][0] : "";
}

/** What JSON says, if it is an object. */
export function objectOf(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
