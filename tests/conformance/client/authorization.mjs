// How a replica is configured to get its grants, as an operator would do it with what the suite hands out beforehand.

import { createPrivateKey, generateKeyPairSync } from "node:crypto";

/** A registered `client_id` that is a URL, by which the suite knows one that uses metadata documents. */
const CLIENT_METADATA_URL = "https://conformance-test.local/client-metadata.json";

/** A client that registers itself, or is known by its metadata document. */
export const byItself = () => ({ oauth: { clientName: "conformance", clientMetadataUrl: CLIENT_METADATA_URL } });

/** A client that the authorization server knows, with a secret. */
export const registered = async ({ client_id: clientId, client_secret: clientSecret }, url) => ({
  oauth: { clients: [{ issuer: await issuerOf(url), clientId, clientSecret }] },
});

/** The same in its own name, with a secret or a key. */
export const inItsOwnName = async (context, url) => {
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: pem } = context;
  const client = { issuer: await issuerOf(url), clientId };
  const grant = "client_credentials";
  if (pem === undefined) return { oauth: { grant, clients: [{ ...client, clientSecret }] } };
  const key = { name: "client", algorithm: "ES256" };
  return {
    oauth: { grant, clients: [{ ...client, authMethod: "private_key_jwt", key }] },
    keys: { client: createPrivateKey(pem).export({ format: "jwk" }) },
  };
};

/** A client whose tokens are bound to a key of its own (RFC 9449). */
export const bound = () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const dpop = { key: "dpop", algorithm: "ES256", jwk: publicKey.export({ format: "jwk" }) };
  return { oauth: { clientName: "conformance", dpop }, keys: { dpop: privateKey.export({ format: "jwk" }) } };
};

/** What an operator knows, and the suite does not tell: who issues the authority's tokens. */
async function issuerOf(url) {
  const { origin, pathname } = new URL(url);
  const response = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  return (await response.json()).authorization_servers[0];
}
