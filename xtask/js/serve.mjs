// `cargo xtask serve`, the Node side: the worker in workerd until SIGTERM or SIGINT.
//
// Settings come as JSON in LEEWARD_SERVE: { port, config, tokens }, as startWorker takes them.

import { startWorker } from "./worker.mjs";

const worker = await startWorker(JSON.parse(process.env.LEEWARD_SERVE));
// The worker reads its configuration with its first request: what is wrong with it is said now, not to a caller.
const health = await fetch(new URL("/healthz", worker.origin));
if (!health.ok) {
  process.stderr.write(`the worker does not start: ${await health.text()}\n`);
  await worker.close();
  process.exit(1);
}
console.log(`listening on ${worker.url}`);

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await worker.close();
    process.exit(0);
  });
}
