// How the replica of a run gets its grants, as an operator would configure it: the hooks of a host whose user says yes
// to everything, and what the suite hands out beforehand.

import { generateSigningKey, importSigningKey, webCryptoSigner } from "../../../wasm/dist/node.js";

/** A registered `client_id` that is a URL, by which the suite knows one that uses metadata documents. */
const CLIENT_METADATA_URL = "https://conformance-test.local/client-metadata.json";

/** A user who says yes: follows the first redirect, which is the authorization server's answer. */
const authorize = {
  redirectUri: () => "http://localhost:3000/callback",
  async open(url) {
    const response = await fetch(url, { redirect: "manual" });
    return response.headers.get("location");
  },
};

const withOAuth = (oauth, more) => ({ oauth, authorize, ...more });

/** A client that registers itself, or is known by its metadata document. */
export const byItself = () => withOAuth({ clientName: "conformance", clientMetadataUrl: CLIENT_METADATA_URL });

/** A client that the authorization server knows, with a secret. */
export const registered = async ({ client_id: clientId, client_secret: clientSecret }, url) =>
  withOAuth({ clients: [{ issuer: await issuerOf(url), clientId, clientSecret }] });

/** The same in its own name, with a secret or a key. */
export const inItsOwnName = async (context, url) => {
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: pem, signing_algorithm } = context;
  const client = { issuer: await issuerOf(url), clientId };
  const grant = "client_credentials";
  if (pem === undefined) return withOAuth({ grant, clients: [{ ...client, clientSecret }] });
  const key = { name: "client", algorithm: signing_algorithm ?? "ES256" };
  const sign = webCryptoSigner({ client: await importSigningKey(pem, key.algorithm) });
  return withOAuth({ grant, clients: [{ ...client, authMethod: "private_key_jwt", key }] }, { sign });
};

/** A client whose tokens are bound to a key of its own (RFC 9449). */
export const bound = async () => {
  const { key, jwk } = await generateSigningKey();
  const dpop = { key: "dpop", algorithm: "ES256", jwk };
  return withOAuth({ clientName: "conformance", dpop }, { sign: webCryptoSigner({ dpop: key }) });
};

/** What an operator knows, and the suite does not tell: who issues the authority's tokens. */
async function issuerOf(url) {
  const { origin, pathname } = new URL(url);
  const response = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  return (await response.json()).authorization_servers[0];
}
