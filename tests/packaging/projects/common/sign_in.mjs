// What `leeward/node` does on each runtime: a redirect comes back, and a record is there for the next vault.

export async function signIn({ fileVault, loopback }, folder) {
  const context = { principal: undefined, signal: new AbortController().signal };
  const opened = [];
  const authorize = loopback({
    open: async (url) => opened.push((await fetch(`${new URL(url).searchParams.get("redirect_uri")}?state=s&code=c`)).status),
  });
  const uri = await authorize.redirectUri(context);
  const came = await authorize.open(`https://as.example/?state=s&redirect_uri=${encodeURIComponent(uri)}`, context);
  await fileVault(folder).set("k", new TextEncoder().encode(came));
  const kept = new TextDecoder().decode(await fileVault(folder).get("k"));
  await fileVault(folder).delete("k");
  return [kept === `${uri}?state=s&code=c`, await fileVault(folder).get("k")];
}
