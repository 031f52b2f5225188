// The runtime that runs this program, as the suite's table names it.

const { Deno, Bun } = globalThis;
export const runtime = Deno
  ? `Deno ${Deno.version.deno}`
  : Bun
    ? `Bun ${Bun.version}`
    : `Node ${process.versions.node}`;
