// Projects on Node: both module systems, and the types as TypeScript resolves them.

import { test } from "node:test";

import { printsHit, signsIn } from "./support/hit.mjs";
import { node, project, tool } from "./support/package.mjs";

test("an ES module imports it", async (t) => {
  const cwd = await project(t, "node-esm");
  await printsHit(t, (authority) => node(["main.js", authority], { cwd, signal: t.signal }));
});

test("an ES module has an endpoint of it", async (t) => {
  const cwd = await project(t, "node-esm");
  await printsHit(t, (authority) => node(["serve.js", authority], { cwd, signal: t.signal }));
});

test("its vault and its listener work", async (t) => {
  const cwd = await project(t, "node-esm");
  await signsIn((folder) => node(["sign_in.js", folder], { cwd, signal: t.signal }));
});

test("a CommonJS module imports it by `import()`", async (t) => {
  const cwd = await project(t, "node-cjs");
  await printsHit(t, (authority) => node(["main.cjs", authority], { cwd, signal: t.signal }));
});

// `node` has the types of Node instead of a browser's.
for (const resolution of ["nodenext", "bundler", "node"]) {
  test(`its types hold under \`strict\`, without skipLibCheck: ${resolution}`, async (t) => {
    const cwd = await project(t, "node-typescript");
    const types = ["--typeRoots", tool("@types")];
    await node([tool("typescript/bin/tsc"), "-p", `tsconfig.${resolution}.json`, ...types], { cwd, signal: t.signal });
  });
}
