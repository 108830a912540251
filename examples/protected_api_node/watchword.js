/* Checks the access tokens of a Watchword and decides by role. This file is what an API of yours would take over. */

import { STATUS_CODES } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** Who may call a route: anyone, any user, or the users that have one of these roles. */
export const ANYONE = { token: false };
export const ANY_USER = { token: true };
export const only = (...roles) => ({ token: true, roles });

// What each role includes, as `[roles]` of Watchword's settings says.
const INCLUDES = { customer: [], admin: ["customer"] };

// As long as Cache-Control of the JWKS says. Watchword publishes a key for longer than that before it signs with it.
const KEYS_MAX_AGE_MS = 5 * 60 * 1000;

/** A failure in the form of RFC 9457: `detail` is for people, `code` for programs. */
export class Problem extends Error {
  constructor(status, code, detail, { headers = {}, ...members } = {}) {
    super(detail);
    this.status = status;
    this.headers = headers;
    this.body = { title: STATUS_CODES[status], status, detail, code, ...members };
  }
}

// 401 carries a challenge (RFC 6750 section 3), without an error where no token came.
const tokenMissing = () =>
  unauthorized("token_missing", "Send an access token: Authorization: Bearer <token>.", "Bearer");
const tokenInvalid = (detail = "The access token is not valid.") => unauthorized("token_invalid", detail);
const tokenExpired = () => unauthorized("token_expired", "Session expired. Please log in again.");

function unauthorized(code, detail, challenge = 'Bearer error="invalid_token"') {
  return new Problem(401, code, detail, { headers: { "WWW-Authenticate": challenge } });
}

/** Says who calls, and throws a Problem if they may not. */
export class Guard {
  #keys;
  #rules;

  constructor({ url, issuer, audience, algorithm }) {
    this.#keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", url), { cacheMaxAge: KEYS_MAX_AGE_MS });
    this.#rules = {
      issuer,
      audience,
      // One, and not what the token says of itself (RFC 8725 section 3.1).
      algorithms: [algorithm],
      // Refresh and reset tokens are no access tokens (RFC 9068 section 4).
      typ: "at+jwt",
      requiredClaims: ["sub", "iat", "exp", "jti", "sid", "role", "username"],
    };
  }

  /** The claims of the caller; null where no token is asked for. */
  async check(request, access) {
    if (!access.token) return null;
    const claims = await this.#verify(bearerToken(request));
    if (access.roles && !access.roles.some((role) => rightsOf(claims.role).has(role))) {
      throw new Problem(403, "insufficient_role", "Your role does not allow this.", {
        required: access.roles,
        role: claims.role,
      });
    }
    return claims;
  }

  async #verify(token) {
    let claims;
    try {
      ({ payload: claims } = await jwtVerify(token, (header, jws) => this.#keyFor(header, jws), this.#rules));
    } catch (error) {
      if (error instanceof Problem) throw error;
      // jose looks at the claims only after the signature, so this token was genuine once.
      if (error instanceof errors.JWTExpired) throw tokenExpired();
      throw tokenInvalid();
    }
    if (typeof claims.role !== "string" || typeof claims.username !== "string") throw tokenInvalid();
    return claims;
  }

  /** A key that is not there is the token's fault; keys that can't be fetched are not. */
  async #keyFor(header, jws) {
    try {
      return await this.#keys(header, jws);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      console.error(`The keys could not be fetched: ${error.cause ?? error}`);
      throw new Problem(503, "keys_unavailable", "Tokens can't be checked now. Try again shortly.", {
        headers: { "Retry-After": "1" },
      });
    }
  }
}

/** The token of `Authorization: Bearer …` (RFC 6750 section 2.1). */
function bearerToken(request) {
  // Not request.headers, which keeps the first of several in silence.
  const values = request.headersDistinct.authorization ?? [];
  if (values.length > 1) throw tokenInvalid("The Authorization header was sent more than once.");
  const [, token] = /^bearer +([^ ].*)$/i.exec(values[0] ?? "") ?? [];
  if (token === undefined) throw tokenMissing();
  return token.trimEnd();
}

/** The role and all that it includes, directly or through others. */
function rightsOf(role, found = new Set()) {
  if (!found.has(role)) {
    found.add(role);
    for (const other of Object.hasOwn(INCLUDES, role) ? INCLUDES[role] : []) rightsOf(other, found);
  }
  return found;
}
