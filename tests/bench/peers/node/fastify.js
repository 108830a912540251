// Fastify with @fastify/jwt: HS256, users in memory. `node fastify.js cache` switches on its cache of verified tokens.

import jwt from "@fastify/jwt";
import fastify from "fastify";

import { ISSUER, KEEP_ALIVE_MS, SECRET, TOKEN_SECONDS, claimsOf, headersOf, tell, userWith, users } from "./settings.js";

// The connections of the measurement wait while other servers are measured.
const app = fastify({ keepAliveTimeout: KEEP_ALIVE_MS });
await app.register(jwt, {
  secret: SECRET,
  sign: { algorithm: "HS256", iss: ISSUER, aud: ISSUER, expiresIn: `${TOKEN_SECONDS}s` },
  verify: { algorithms: ["HS256"], allowedIss: ISSUER, allowedAud: ISSUER, cache: process.argv[2] === "cache" },
});

async function authenticate(request) {
  await request.jwtVerify();
}

function requireRole(...roles) {
  return async (request, reply) => {
    if (!roles.includes(request.user.role)) {
      return reply.code(403).send({ error: "insufficient role" });
    }
  };
}

// Fastify writes JSON faster with a schema of the answer.
const text = { type: "string" };
const userAnswer = {
  type: "object",
  properties: {
    user: {
      type: "object",
      properties: {
        id: text,
        username: text,
        name: text,
        role: text,
        disabled: { type: "boolean" },
        created_at: text,
        updated_at: text,
        last_login_at: text,
      },
    },
  },
};

app.get("/verify", { onRequest: [authenticate, requireRole("customer", "admin")] }, async (request, reply) => {
  return reply.code(204).headers(headersOf(request.user)).send();
});

app.get(
  "/users/:id",
  { onRequest: [authenticate, requireRole("admin")], schema: { response: { 200: userAnswer } } },
  async (request, reply) => {
    const user = users.get(request.params.id);
    return user === undefined ? reply.code(404).send({ error: "not found" }) : { user };
  },
);

app.post("/login", async (request, reply) => {
  const user = await userWith(request.body.username, request.body.password);
  if (user === null) {
    return reply.code(401).send({ error: "wrong username or password" });
  }
  const token = app.jwt.sign(claimsOf(user), { sub: user.id });
  return { token, token_type: "Bearer", expires_in: TOKEN_SECONDS };
});

await app.listen({ port: 0, host: "127.0.0.1" });
tell(app.server.address().port);
