// The npm package in workerd, by its `workerd` entry and a bundler. What a worker waits for belongs to the request that
// began it, so one request holds everything: a WebSocket that brings the orders and takes the answers.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { fail, orders, say } from "./lines.mjs";
import { start, version } from "./miniflare.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const WASM = "leeward_wasm_bg.wasm";
const WORKER = `
  import { Replica } from "leeward";
  import { start } from "./web.mjs";

  export default {
    async fetch(request, { ABOUT }) {
      const [client, server] = Object.values(new WebSocketPair());
      const say = (answer) => server.send(JSON.stringify(answer));
      const fail = (fault) => say({ fault });
      const order = start({ ...JSON.parse(ABOUT), Replica, say, fail });
      server.addEventListener("message", ({ data }) => order(JSON.parse(data)));
      server.accept();
      return new Response(null, { status: 101, webSocket: client });
    },
  };
`;

const { metafile, outputFiles } = await build({
  stdin: { contents: WORKER, resolveDir: HERE, sourcefile: "worker" },
  absWorkingDir: HERE,
  bundle: true,
  conditions: ["workerd"],
  external: ["*.wasm"],
  format: "esm",
  metafile: true,
  write: false,
});
const entry = metafile.inputs.worker.imports.find(({ original }) => original === "leeward").path;
const modules = {
  "worker.mjs": { type: "esm", contents: outputFiles[0].text },
  [WASM]: { type: "wasm", contents: await readFile(new URL(`../../wasm/dist/${WASM}`, import.meta.url)) },
};
const { runtime, url } = await start(modules, { ABOUT: JSON.stringify({ entry, runtime: version }) });

const socket = new WebSocket(url.replace("http", "ws"));
await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
socket.onmessage = ({ data }) => {
  const answer = JSON.parse(data);
  if (answer.fault === undefined) say(answer);
  else fail(answer.fault);
};
socket.onclose = ({ code, reason }) => fail(`the worker closed: ${code} ${reason}`);
for await (const order of orders()) socket.send(JSON.stringify(order));
socket.onclose = null;
await runtime.dispose();
