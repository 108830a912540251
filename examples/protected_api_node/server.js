/* An HTTP API whose routes are protected by the tokens of a Watchword. */

import { createServer } from "node:http";
import { ANYONE, ANY_USER, Guard, Problem, only } from "./watchword.js";

const ORDERS = [
  { id: 1, item: "tea", quantity: 2 },
  { id: 2, item: "cups", quantity: 6 },
];

// Every route with who may call it. One that does not say so ends the start.
const ROUTES = {
  "GET /public": { access: ANYONE, answer: () => ({ message: "Anyone may read this." }) },
  "GET /orders": { access: ANY_USER, answer: (user) => ({ orders: ORDERS, for: user.username }) },
  "GET /reports": { access: only("admin"), answer: (user) => ({ reports: ["turnover"], for: user.username }) },
};

/** What the environment says; ends the process with a line for each value that can't be used. */
function readSettings({
  WATCHWORD_URL: url = "http://127.0.0.1:8080",
  WATCHWORD_ISSUER: issuer = "my-api",
  WATCHWORD_AUDIENCE: audience = "my-api",
  WATCHWORD_ALGORITHM: algorithm = "ES256",
  HOST: host = "127.0.0.1",
  PORT: port = "3000",
}) {
  const problems = [];
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    problems.push("WATCHWORD_URL: give an http:// or https:// address");
  }
  if (!["ES256", "EdDSA", "RS256"].includes(algorithm)) {
    problems.push("WATCHWORD_ALGORITHM: give ES256, EdDSA or RS256; HS256 has no public key to check by");
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
    problems.push("PORT: give a number up to 65535; 0 picks a free one");
  }
  if (problems.length > 0) {
    console.error(problems.join("\n"));
    process.exit(2);
  }
  return { url, issuer, audience, algorithm, host, port: Number(port) };
}

function routeOf(request) {
  const [path] = request.url.split("?", 1);
  // A GET answers HEAD too (RFC 9110 section 9.3.2); node leaves the body out.
  const method = request.method === "HEAD" ? "GET" : request.method;
  if (Object.hasOwn(ROUTES, `${method} ${path}`)) return ROUTES[`${method} ${path}`];
  if (Object.hasOwn(ROUTES, `GET ${path}`)) {
    throw new Problem(405, "method_not_allowed", "This path does not take this method.", {
      headers: { Allow: "GET, HEAD" },
    });
  }
  throw new Problem(404, "not_found", "There is nothing here.");
}

async function answer(guard, request) {
  try {
    const route = routeOf(request);
    const user = await guard.check(request, route.access);
    return { status: 200, type: "application/json", headers: {}, body: route.answer(user) };
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    const problem = error instanceof Problem ? error : new Problem(500, "internal_error", "This could not be handled.");
    return { status: problem.status, type: "application/problem+json", headers: problem.headers, body: problem.body };
  }
}

const settings = readSettings(process.env);
const guard = new Guard(settings);
for (const [name, route] of Object.entries(ROUTES)) {
  if (route.access === undefined) throw new Error(`${name}: say who may call it`);
}

const server = createServer(async (request, response) => {
  const { status, type, headers, body } = await answer(guard, request);
  const content = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": content.length,
    "Cache-Control": "no-store",
    ...headers,
  });
  response.end(content);
});

server.listen(settings.port, settings.host, () => {
  const { address, port } = server.address();
  const host = address.includes(":") ? `[${address}]` : address;
  console.log(`The API listens on http://${host}:${port}, for users of ${settings.url}`);
});
server.on("error", (error) => {
  console.error(`It can't listen on ${settings.host}:${settings.port}: ${error.message}`);
  process.exit(1);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.close());
