const main = async () => {
  const { Replica } = await import("leeward");
  const { ask } = await import("./ask.mjs");
  console.log(JSON.stringify(await ask(Replica, process.argv[2])));
};

void main();
