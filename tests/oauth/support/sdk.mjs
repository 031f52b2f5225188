// What the official client's own OAuth needs of its program: a store and hooks of one user, in memory.

import { REDIRECT } from "./provider.mjs";

/** A client of a program on the user's own machine (RFC 7591). */
export const CLIENT = {
  client_name: "test",
  redirect_uris: [REDIRECT],
  application_type: "native",
  grant_types: ["authorization_code", "refresh_token"],
  token_endpoint_auth_method: "none",
};

/** A user with a browser. The SDK registers a client by itself where there is none yet. */
export function userOf(browser, client, more = {}) {
  const kept = { client };
  return {
    ...more,
    kept,
    redirectUrl: REDIRECT,
    clientMetadata: CLIENT,
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    invalidateCredentials: () => void delete kept.tokens,
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (state) => void (kept.discovery = state),
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    redirectToAuthorization: async (url) => void (kept.callback = await browser.follow(url.href)),
  };
}

/** Registers a client beforehand, for no scope in particular. */
export async function register({ issuer }) {
  const response = await fetch(`${issuer}/reg`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(CLIENT),
  });
  return { ...(await response.json()), issuer };
}
