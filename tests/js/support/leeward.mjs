// The npm package as it was built, by path: tests need no link to it. `package.test.mjs` imports it by name.

export * from "../../../wasm/dist/node.js";
// The generated glue below the package: the very module that the package uses, so that a test can break it.
export * as glue from "../../../wasm/dist/leeward_wasm.js";
