// What every project does with the package: the same call twice, of which the authority must see one.

export async function ask(Replica, authority) {
  const replica = await Replica.open({ authority, policy: [{ tool: "echo", rule: "cache; max-age=60" }] });
  const call = async () => {
    const { result, cache } = await replica.callToolWithCache("echo", { id: 7 });
    return [cache.status, result.structuredContent.arguments.id];
  };
  const answers = [await call(), await call()];
  await replica.close();
  return answers;
}
