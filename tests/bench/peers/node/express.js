// Express with jsonwebtoken, as the tutorial has it: HS256, users in memory, one middleware that checks the token and
// one that looks at the role. The secret is text, as there; jsonwebtoken tries text as a public key first, each time.
// `node express.js key` makes a key of it once.

import { createSecretKey } from "node:crypto";

import express from "express";
import jwt from "jsonwebtoken";

import { ISSUER, KEEP_ALIVE_MS, SECRET, TOKEN_SECONDS, claimsOf, headersOf, tell, userWith, users } from "./settings.js";

const key = process.argv[2] === "key" ? createSecretKey(Buffer.from(SECRET)) : SECRET;
const app = express();
app.use(express.json());

function authenticate(request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer") {
    return response.status(401).json({ error: "no token" });
  }
  try {
    request.user = jwt.verify(token, key, { algorithms: ["HS256"], issuer: ISSUER, audience: ISSUER });
  } catch {
    return response.status(401).json({ error: "invalid token" });
  }
  next();
}

function requireRole(...roles) {
  return (request, response, next) => {
    if (!roles.includes(request.user.role)) {
      return response.status(403).json({ error: "insufficient role" });
    }
    next();
  };
}

app.get("/verify", authenticate, requireRole("customer", "admin"), (request, response) => {
  response.status(204).set(headersOf(request.user)).end();
});

app.get("/users/:id", authenticate, requireRole("admin"), (request, response) => {
  const user = users.get(request.params.id);
  if (user === undefined) {
    return response.status(404).json({ error: "not found" });
  }
  response.json({ user });
});

app.post("/login", async (request, response) => {
  const user = await userWith(request.body.username, request.body.password);
  if (user === null) {
    return response.status(401).json({ error: "wrong username or password" });
  }
  const token = jwt.sign(claimsOf(user), key, {
    algorithm: "HS256",
    subject: user.id,
    issuer: ISSUER,
    audience: ISSUER,
    expiresIn: TOKEN_SECONDS,
  });
  response.json({ token, token_type: "Bearer", expires_in: TOKEN_SECONDS });
});

const server = app.listen(0, "127.0.0.1", () => tell(server.address().port));
// The connections of the measurement wait while other servers are measured.
server.keepAliveTimeout = KEEP_ALIVE_MS;
