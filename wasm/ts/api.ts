/**
 * What the package exports, whatever the runtime.
 *
 * @packageDocumentation
 */

export { LeewardError, McpError } from "./errors.js";
export type { ErrorCode, ErrorDetails } from "./errors.js";
export { Replica } from "./replica.js";
export { generateSigningKey, importSigningKey, webCryptoSigner } from "./sign.js";
export type { SigningAlgorithm, SigningKey, SigningKeyPair } from "./sign.js";
export type { ReplicaTransport } from "./transport.js";
export type * from "./types.js";
