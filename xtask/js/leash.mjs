// Preloaded into every server that xtask starts: ends it when its standard input closes, which happens however the
// starter ends. A server with children of its own ends them on SIGTERM.

process.stdin.on("close", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
process.stdin.unref();
