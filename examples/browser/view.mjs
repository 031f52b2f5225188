// What the page shows; it asks nobody.

const MAX_ROWS = 40;
/** The time axis: five decades from 10 µs on. */
const AXIS = { startMs: 0.01, decades: 5 };

const ANSWERED_BY = {
  hit: "hit",
  miss: "miss: authority",
  renewed: "was stale: authority",
  stale: "stale, kept copy",
  bypass: "authority",
  local: "local tool",
  error: "error",
};

export function note(element, message) {
  element.textContent = message;
}

/** The first text of a tool's result, or the result itself. */
export function text(result) {
  return result.content.find((block) => block.type === "text")?.text ?? JSON.stringify(result);
}

export function showList(dl, values) {
  dl.replaceChildren(
    ...Object.entries(values).map(([name, value]) => {
      const pair = document.createElement("div");
      pair.append(element("dt", name), element("dd", typeof value === "number" ? value.toLocaleString("en") : value));
      return pair;
    }),
  );
}

/** Puts a call on top of the table. */
export function addCall(tbody, { label, how, ms, header, text }) {
  const row = document.createElement("tr");
  row.dataset.how = how;
  const time = element("td", "", "time");
  time.append(bar(Math.log10(ms / AXIS.startMs) / AXIS.decades), element("span", duration(ms)));
  const chip = element("td", "");
  chip.append(element("span", ANSWERED_BY[how], "chip"));
  row.append(heading(label), chip, time, element("td", header, "code"), element("td", text, "result"));
  tbody.prepend(row);
  while (tbody.rows.length > MAX_ROWS) tbody.deleteRow(-1);
}

/** What is held, how old it is, and what is left of its freshness. */
export function showHeld(tbody, held, now) {
  const rows = [...held].slice(-MAX_ROWS).map(([label, { storedAt, freshUntil, hits }]) => {
    const left = freshUntil - now;
    const row = document.createElement("tr");
    row.dataset.how = left > 0 ? "hit" : "stale";
    const freshness = element("td", "", "time");
    freshness.append(
      bar(left / (freshUntil - storedAt)),
      element("span", left > 0 ? `fresh for ${seconds(left)}` : `stale for ${seconds(-left)}`),
    );
    row.append(heading(label), element("td", seconds(now - storedAt)), freshness, element("td", hits));
    return row;
  });
  tbody.replaceChildren(...rows);
}

function bar(share) {
  const shape = element("span", "", "bar");
  shape.style.setProperty("--share", String(Math.min(Math.max(share, 0), 1)));
  return shape;
}

function heading(label) {
  const th = element("th", label, "code");
  th.scope = "row";
  return th;
}

function element(tag, content, className = "") {
  const made = document.createElement(tag);
  made.textContent = String(content);
  made.className = className;
  return made;
}

const seconds = (ms) => `${Math.floor(ms / 1000)} s`;
const duration = (ms) => (ms >= 1 ? `${ms.toFixed(1)} ms` : `${Math.round(ms * 1000)} µs`);
