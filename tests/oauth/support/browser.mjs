// The user's browser, without a window: follows redirects with its cookies, and sends the forms it is shown; those of
// the authorization server ask for login and consent.

/** A browser in which somebody signs in as `account`, or who cancels at the consent page (`consents: false`). */
export class Browser {
  #cookies = new Map();
  /** The pages that were filled in, by what they asked for. */
  asked = [];

  constructor(account, { consents = true } = {}) {
    this.account = account;
    this.consents = consents;
  }

  /** Goes to an authorization server's URL and gives the URL that it sends the browser back to, unvisited. */
  async follow(start) {
    const { origin } = new URL(start);
    const { away } = await this.#walk(start, (url) => url.origin !== origin);
    if (away === undefined) throw new Error(`no redirect back from ${start}`);
    return away.href;
  }

  /** Goes wherever it is sent, and gives the last page: `{ url, status, text }`; or `{ away }`, where it stops. */
  visit(start, stops = () => false) {
    return this.#walk(start, stops);
  }

  async #walk(start, leaves) {
    let [url, init] = [new URL(start), {}];
    // Three pages and the redirects between them are less.
    for (let step = 0; step < 24; step += 1) {
      const response = await this.#fetch(url, init);
      const location = response.headers.get("location");
      if (location !== null) {
        [url, init] = [new URL(location, url), {}];
        if (leaves(url)) return { away: url };
      } else {
        const page = await response.text();
        const form = /<form[^>]*>/i.exec(page)?.[0];
        if (form === undefined) return { url: url.href, status: response.status, text: page };
        const action = new URL(/action="([^"]*)"/.exec(form)?.[1] ?? "", url);
        [url, init] = this.#fill(action, page);
      }
    }
    throw new Error(`no end from ${start}`);
  }

  async #fetch(url, init) {
    // Cookies know no ports.
    const cookies = this.#cookies.get(url.hostname) ?? new Map();
    this.#cookies.set(url.hostname, cookies);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { cookie, ...(init.method === "POST" && { origin: url.origin }) };
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      if (value === "") cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  }

  /** What a page's form sends, and where. */
  #fill(action, page) {
    const inputs = [...page.matchAll(/<input[^>]*>/gi)].map(([input]) => input);
    const of = (input, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(input)?.[1];
    const body = new URLSearchParams(
      inputs.filter((input) => of(input, "name")).map((input) => [of(input, "name"), of(input, "value") ?? ""]),
    );
    const prompt = body.get("prompt");
    if (prompt !== null) this.asked.push(prompt);
    if (prompt === "login") body.set("login", this.account);
    if (prompt === "consent" && !this.consents) return [new URL(/href="([^"]+\/abort)"/.exec(page)[1]), {}];
    return [action, { method: "POST", body }];
  }
}
