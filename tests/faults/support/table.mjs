// The table of docs/FAILURES.md, as a map from a fault's name to the other cells of its row.

import { readFileSync } from "node:fs";

const text = readFileSync(new URL("../../../docs/FAILURES.md", import.meta.url), "utf8");

const rows = text
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()))
  .filter((cells) => cells.length === 5);

/** Without the head of the table. */
export const ROWS = new Map(rows.slice(1).map(([name, ...cells]) => [name, cells]));
