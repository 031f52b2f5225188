// `webCryptoSigner`: signatures that others verify, by keys that nobody takes out.

import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { fails } from "./support/index.mjs";
import { generateSigningKey, importSigningKey, webCryptoSigner } from "./support/leeward.mjs";

const PAYLOAD = new TextEncoder().encode("eyJhbGciOiJFUzI1NiJ9.e30");
/** JOSE name: how OpenSSL verifies, the bytes of a signature (RFC 7518, sections 3.3 to 3.5; RFC 8037, section 3.1). */
const ALGORITHMS = {
  ES256: [{ hash: "sha256", dsaEncoding: "ieee-p1363" }, 64],
  ES384: [{ hash: "sha384", dsaEncoding: "ieee-p1363" }, 96],
  ES512: [{ hash: "sha512", dsaEncoding: "ieee-p1363" }, 132],
  RS256: [{ hash: "sha256" }, 256],
  RS384: [{ hash: "sha384" }, 256],
  RS512: [{ hash: "sha512" }, 256],
  PS256: [{ hash: "sha256", padding: 6, saltLength: 32 }, 256],
  PS384: [{ hash: "sha384", padding: 6, saltLength: 48 }, 256],
  PS512: [{ hash: "sha512", padding: 6, saltLength: 64 }, 256],
  EdDSA: [{ hash: null }, 64],
};
const isSound = (algorithm, jwk, signature) => {
  const [{ hash, ...how }, length] = ALGORITHMS[algorithm];
  const key = createPublicKey({ key: jwk, format: "jwk" });
  assert.equal(signature.byteLength, length);
  return verify(hash, PAYLOAD, { key, ...how }, new Uint8Array(signature));
};

for (const algorithm of Object.keys(ALGORITHMS)) {
  test(`${algorithm}: a key made here signs what others verify, and stays here`, async () => {
    const { key, jwk } = await generateSigningKey(algorithm);
    assert.equal(key.extractable, false);
    assert.ok(!("d" in jwk) && !("key_ops" in jwk) && !("ext" in jwk), Object.keys(jwk).join());
    const signature = await webCryptoSigner({ k: key })("k", algorithm, PAYLOAD);
    assert.ok(isSound(algorithm, jwk, signature));
    assert.ok(!isSound(algorithm, (await generateSigningKey(algorithm)).jwk, signature));
  });
}

test("they are those that the configuration knows", () => {
  const schema = JSON.parse(readFileSync(new URL("../../leeward.schema.json", import.meta.url), "utf8"));
  const known = JSON.stringify(schema).match(/"algorithm":\{[^}]*"enum":\[([^\]]*)\]/)[1];
  assert.deepEqual(JSON.parse(`[${known}]`).sort(), Object.keys(ALGORITHMS).sort());
});

test("a key is imported from PEM and from a JSON Web Key, and not to be taken out again", async () => {
  for (const [algorithm, pair] of [
    ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
    ["RS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
    ["PS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
    ["EdDSA", generateKeyPairSync("ed25519")],
  ]) {
    const pem = pair.privateKey.export({ type: "pkcs8", format: "pem" });
    const own = { ...pair.privateKey.export({ format: "jwk" }), use: "sig", key_ops: ["sign"], alg: algorithm, kid: "k1" };
    for (const given of [pem, `\n${pem.replaceAll("\n", "\r\n")}\n`, own]) {
      const key = await importSigningKey(given, algorithm);
      assert.equal(key.extractable, false);
      const signature = await webCryptoSigner({ k: key })("k", algorithm, PAYLOAD);
      assert.ok(isSound(algorithm, pair.publicKey.export({ format: "jwk" }), signature), algorithm);
    }
  }
});

test("what is no key is refused, and not quoted", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = privateKey.export({ format: "jwk" });
  for (const [given, algorithm] of [
    ["-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "ES256"],
    [privateKey.export({ type: "sec1", format: "pem" }), "ES256"],
    ["", "ES256"],
    [publicKey.export({ format: "jwk" }), "ES256"],
    [jwk, "RS256"],
    [jwk, "ES384"],
    [{ ...jwk, d: "secret" }, "ES256"],
    [null, "ES256"],
    [1, "ES256"],
  ]) {
    const error = await fails("config_invalid", () => importSigningKey(given, algorithm));
    assert.equal(error.data.field, "key");
    assert.doesNotMatch(`${error.message} ${error.cause}`, /c2VjcmV0|secret/);
  }
  for (const algorithm of ["HS256", "none", "", undefined, "__proto__"]) {
    assert.equal((await fails("config_invalid", () => importSigningKey(jwk, algorithm))).data.field, "algorithm");
    assert.equal((await fails("config_invalid", () => generateSigningKey(algorithm ?? null))).data.field, "algorithm");
  }
});

test("a key signs by its own algorithm alone, and is found by its own name alone", async () => {
  const { key } = await generateSigningKey("RS256");
  const sign = webCryptoSigner({ k: key });
  for (const algorithm of ["PS256", "RS512", "ES256", "EdDSA"]) {
    await assert.rejects(sign("k", algorithm, PAYLOAD), /the key is not one for/);
  }
  await fails("config_invalid", () => sign("k", "HS256", PAYLOAD));
  for (const name of ["j", "", "__proto__", "toString"]) await assert.rejects(sign(name, "RS256", PAYLOAD), /no key/);
});

test("something else than a private key for signing is named", async () => {
  const { publicKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const secret = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  for (const key of [undefined, null, 1, "pem", {}, publicKey, secret]) {
    assert.equal((await fails("config_invalid", () => webCryptoSigner({ mine: key }))).data.field, "keys.mine");
  }
  for (const keys of [undefined, null, 1, [], "x"]) {
    assert.equal((await fails("config_invalid", () => webCryptoSigner(keys))).data.field, "keys");
  }
});
