// What the two applications of this folder share: one user, made at the start, and how the address is told.

import { randomUUID } from "node:crypto";

import bcrypt from "bcrypt";

export const ISSUER = "my-api";
export const SECRET = "a secret for measuring that nothing else has";
export const TOKEN_SECONDS = 86_400;
export const KEEP_ALIVE_MS = 600_000;

const now = new Date().toISOString();
const user = {
  id: randomUUID(),
  username: "admin",
  name: "Administrator",
  role: "admin",
  disabled: false,
  created_at: now,
  updated_at: now,
  last_login_at: now,
};
const passwordHash = await bcrypt.hash(process.env.PEER_PASSWORD, Number(process.env.PEER_BCRYPT_COST));

export const users = new Map([[user.id, user]]);

export async function userWith(username, password) {
  if (username !== user.username || !(await bcrypt.compare(password, passwordHash))) {
    return null;
  }
  return user;
}

// What a token says beside issuer, audience and times, which the libraries add.
export function claimsOf(found) {
  return { username: found.username, role: found.role, jti: randomUUID() };
}

export function headersOf(claims) {
  return {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Auth-Subject": claims.sub,
    "X-Auth-Username": claims.username,
    "X-Auth-Role": claims.role,
  };
}

export function tell(port) {
  console.log(`http://127.0.0.1:${port}`);
}
