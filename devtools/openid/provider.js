// A real OpenID provider (npm oidc-provider) for development and tests. It keeps everything in memory, and it believes
// whoever knows one of the names that it is started with: never let anybody but this machine reach it.
//
// Takes a file with one JSON document: {"issuer", "clients", "people", "resource"}. It listens on the issuer's port of
// the loopback, with a new key.
import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import Provider from "oidc-provider";

const given = JSON.parse(await readFile(process.argv[2], "utf8"));
const people = new Map(given.people.map((person) => [person.login, person]));
const bySubject = new Map(given.people.map((person) => [person.sub ?? person.login, person]));

const provider = new Provider(given.issuer, {
  clients: given.clients,
  jwks: { keys: [newKey()] },
  cookies: { keys: [crypto.randomUUID()] },
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups"] },
  scopes: ["openid", "profile", "email", "groups", "offline_access"],
  pkce: { required: () => true },
  responseTypes: ["code"],
  ttl: { Session: 3600, Interaction: 3600, Grant: 3600, AccessToken: 600, IdToken: 600 },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form, _out, error) => {
        const told = error?.name === "AbortedError" ? "The command line was refused." : "This code is not known.";
        ctx.body = page(
          "Sign in on the command line",
          `<p role="alert">${error ? told : ""}</p><p>Enter the code that it shows.</p>${form}
          <button type="submit" form="op.deviceInputForm">Continue</button>`,
        );
      },
      userCodeConfirmSource: (ctx, form, client, _device, code) => {
        ctx.body = page(
          "Sign in on the command line",
          `<p>${client.clientName ?? client.clientId} shows this code:</p><p><strong>${code}</strong></p>${form}
          <button type="submit" form="op.deviceConfirmForm" autofocus>It is mine: continue</button>
          <button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">It is not mine: refuse</button>`,
        );
      },
      successSource: (ctx) => {
        ctx.body = page("Signed in", "<p>Go on in the command line.</p>");
      },
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page(
          "Sign out",
          `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes" autofocus>Sign out</button>`,
        );
      },
    },
    resourceIndicators: {
      enabled: true,
      // A token for the product's API is asked for by name (RFC 8707); without, it is for the provider's own answers.
      defaultResource: (_ctx, _client, oneOf) => oneOf,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        audience: resource,
        scope: "openid profile email groups offline_access",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  // What a token for the product's API says of a person is what the ID token says.
  extraTokenClaims: (_ctx, token) => bySubject.get(token.accountId)?.claims,
  // Without its protection against addresses of its own machine: the product is on one.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  findAccount: (_ctx, sub) => {
    const person = bySubject.get(sub);
    return person && { accountId: sub, claims: () => ({ sub, ...person.claims }) };
  },
  // The product is the provider's own: nobody is asked whether it may know who they are.
  loadExistingGrant: async (ctx) => {
    const { client, session, params, result } = ctx.oidc;
    const known = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
    if (known) return provider.Grant.find(known);
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid profile email groups offline_access");
    if (given.resource) grant.addResourceScope(given.resource, params.scope ?? "openid");
    await grant.save();
    return grant;
  },
});

provider.on("backchannel.error", (_ctx, error, client) => console.error("back channel of", client.clientId, error));
provider.on("server_error", (_ctx, error) => console.error(error));

// What is made for asking for consent: own pages are enough for signing in.
const answer = provider.callback();
const server = createServer(async (request, response) => {
  const found = /^\/interaction\/([\w-]+)$/.exec(new URL(request.url, given.issuer).pathname);
  try {
    if (!found) await answer(request, response);
    else if (request.method === "POST") await signIn(request, response);
    else ask(response);
  } catch (error) {
    response.writeHead(400, { "content-type": "text/plain; charset=utf-8" }).end(String(error));
  }
});

async function signIn(request, response) {
  const form = new URLSearchParams(await text(request));
  if (form.has("cancel")) {
    await provider.interactionFinished(request, response, { error: "access_denied", error_description: "Cancelled." });
    return;
  }
  const person = people.get(form.get("login"));
  if (!person || person.password !== form.get("password")) {
    ask(response, "There is no such name and password.");
    return;
  }
  await provider.interactionFinished(request, response, {
    login: { accountId: person.sub ?? person.login, remember: false },
  });
}

function ask(response, refusal = "") {
  response.writeHead(refusal ? 401 : 200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
  response.end(
    page(
      "Sign in",
      `<p role="alert">${refusal}</p><form method="post">
        <label>Name <input name="login" autocomplete="username" autofocus></label>
        <label>Password <input name="password" type="password" autocomplete="current-password"></label>
        <button type="submit">Sign in</button>
        <button type="submit" name="cancel" value="yes">Cancel</button>
      </form>`,
    ),
  );
}

function newKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: crypto.randomUUID() };
}

function page(title, content) {
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title} · Demo provider</title>
    <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="dark light">
    <style>body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}
    label,input,button{display:block;width:100%;box-sizing:border-box}
    input,button{font:inherit;padding:.5rem;margin:.25rem 0 1rem}</style>
    </head><body><h1>${title}</h1><p>Demo provider of this machine, for development alone.</p>${content}</body></html>`;
}

const { hostname, port } = new URL(given.issuer);
server.listen(Number(port), hostname === "localhost" ? "127.0.0.1" : hostname);
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
