/** Signatures by Web Crypto, for the option `sign`: keys stay where nobody can take them out. */

import { configInvalid, isObject } from "./errors.js";
import type { JsonWebKey, Signer } from "./types.js";

/** What the package can sign by: RFC 7518, section 3.1, and of RFC 8037, section 3.1, Ed25519. */
export type SigningAlgorithm =
  | "ES256"
  | "ES384"
  | "ES512"
  | "RS256"
  | "RS384"
  | "RS512"
  | "PS256"
  | "PS384"
  | "PS512"
  | "EdDSA";

/** A private key, as far as it shows: a `CryptoKey`. An `object`, for programs whose types know none. */
export type SigningKey = object;

/** A key and its public part. */
export interface SigningKeyPair {
  /** The private key, for {@link webCryptoSigner}. */
  key: SigningKey;
  /** The public one, for whoever verifies. */
  jwk: JsonWebKey;
}

/** How Web Crypto makes a key of an algorithm, and signs with it. */
interface Way {
  readonly key: { readonly name: string } & Record<string, unknown>;
  readonly sign: { readonly name: string } & Record<string, unknown>;
}

const ecdsa = (namedCurve: string, hash: string): Way => ({
  key: { name: "ECDSA", namedCurve },
  sign: { name: "ECDSA", hash },
});
/** `saltLength`: of PSS, the hash's length in bytes. */
const rsa = (name: string, hash: string, saltLength?: number): Way => ({
  key: { name, hash, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
  sign: { name, ...(saltLength !== undefined && { saltLength }) },
});

const WAYS: ReadonlyMap<string, Way> = new Map([
  ["ES256", ecdsa("P-256", "SHA-256")],
  ["ES384", ecdsa("P-384", "SHA-384")],
  ["ES512", ecdsa("P-521", "SHA-512")],
  ["RS256", rsa("RSASSA-PKCS1-v1_5", "SHA-256")],
  ["RS384", rsa("RSASSA-PKCS1-v1_5", "SHA-384")],
  ["RS512", rsa("RSASSA-PKCS1-v1_5", "SHA-512")],
  ["PS256", rsa("RSA-PSS", "SHA-256", 32)],
  ["PS384", rsa("RSA-PSS", "SHA-384", 48)],
  ["PS512", rsa("RSA-PSS", "SHA-512", 64)],
  ["EdDSA", { key: { name: "Ed25519" }, sign: { name: "Ed25519" } }],
]);

/**
 * The option `sign` by Web Crypto: signs with the key that `authority.oauth` names, by the algorithm it names, if the
 * key is for that one.
 *
 * @param keys The private keys by name, each for signing alone and best not extractable ({@link generateSigningKey},
 * {@link importSigningKey}).
 * @example
 * ```ts
 * const { key, jwk } = await generateSigningKey();
 * const replica = await Replica.open({
 *   authority: { url, oauth: { dpop: { key: "dpop", algorithm: "ES256", jwk } } },
 *   sign: webCryptoSigner({ dpop: key }),
 *   authorize,
 * });
 * ```
 * @throws `LeewardError` `config_invalid`, if something else is given for a key.
 */
export function webCryptoSigner(keys: Readonly<Record<string, SigningKey>>): Signer {
  if (!isObject(keys as unknown)) throw configInvalid("keys", "keys must be an object of CryptoKeys by name");
  const known = new Map(Object.entries(keys).map(([name, key]) => [name, privateKey(name, key)]));
  return async (name, algorithm, payload) => {
    const key = known.get(name);
    if (key === undefined) throw new TypeError("no key of that name");
    const way = wayOf(algorithm);
    if (!isFor(key, way)) throw new TypeError(`the key is not one for ${algorithm}`);
    return crypto.subtle.sign(way.sign, key, payload);
  };
}

/**
 * Makes a key pair: the private key, which cannot be taken out of this runtime, and the public one for the
 * configuration (`dpop.jwk`) or the authorization server. Tokens that are bound to a key are lost with it: one that is
 * to outlive the process is kept where the runtime can (a browser's IndexedDB) or imported by {@link importSigningKey}.
 *
 * @throws `LeewardError` `config_invalid` for another algorithm, or one that this runtime does not have.
 */
export async function generateSigningKey(
  algorithm: SigningAlgorithm = "ES256",
): Promise<SigningKeyPair> {
  const way = wayOf(algorithm);
  const { privateKey, publicKey } = (await had(algorithm, () =>
    crypto.subtle.generateKey(way.key, false, ["sign", "verify"]),
  )) as CryptoKeyPair;
  return { key: privateKey, jwk: publicOf((await crypto.subtle.exportKey("jwk", publicKey)) as JsonWebKey) };
}

/**
 * Imports a private key, so that it cannot be taken out again.
 *
 * @param key PKCS #8 in PEM (`-----BEGIN PRIVATE KEY-----`), or a JSON Web Key.
 * @throws `LeewardError` `config_invalid` for another algorithm, or a key that is not one for it.
 */
export async function importSigningKey(key: string | object, algorithm: SigningAlgorithm): Promise<SigningKey> {
  const way = wayOf(algorithm);
  return had(algorithm, async () => {
    if (typeof key === "string") return crypto.subtle.importKey("pkcs8", der(key), way.key, false, ["sign"]);
    // What the key says of its own use would be held against the one asked for.
    const { use, key_ops, ext, alg, ...jwk } = key as Record<string, unknown>;
    return crypto.subtle.importKey("jwk", jwk, way.key, false, ["sign"]);
  });
}

function wayOf(algorithm: string): Way {
  const way = WAYS.get(algorithm);
  if (way === undefined) throw configInvalid("algorithm", `algorithm must be one of ${[...WAYS.keys()].join(", ")}`);
  return way;
}

/** Nothing of what went wrong is repeated: it may quote the key. */
async function had<Value>(algorithm: string, action: () => Promise<Value>): Promise<Value> {
  try {
    return await action();
  } catch {
    throw configInvalid("key", `there is no key for ${algorithm} to be had of that, or in this runtime`);
  }
}

function privateKey(name: string, key: unknown): CryptoKey {
  const { type, usages } = Object(key) as Partial<CryptoKey>;
  if (type === "private" && usages?.includes("sign")) return key as CryptoKey;
  throw configInvalid(`keys.${name}`, `keys.${name} must be a private CryptoKey for signing`);
}

/** Whether a key is for that way of signing: its own algorithm, curve and hash. */
function isFor({ algorithm }: CryptoKey, { key }: Way): boolean {
  const { name, namedCurve, hash } = algorithm as { name: string; namedCurve?: string; hash?: { name: string } };
  return name === key.name && namedCurve === key["namedCurve"] && hash?.name === key["hash"];
}

/** The members that make a public key (RFC 7638, section 3.2), and no other. */
function publicOf({ kty, crv, x, y, n, e }: JsonWebKey): JsonWebKey {
  return Object.fromEntries(
    Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined),
  ) as unknown as JsonWebKey;
}

/** The bytes of a PEM. */
function der(pem: string): Uint8Array<ArrayBuffer> {
  const [, base64 = ""] = /^-----BEGIN PRIVATE KEY-----([^-]+)-----END PRIVATE KEY-----\s*$/.exec(pem.trim()) ?? [];
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
