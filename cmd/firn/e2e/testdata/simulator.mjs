// Runs a Worker on the official local simulator until standard input closes:
//
//   node simulator.mjs MODULES WORKER_DIR DATA_DIR
//
// prints the address that it serves on.

import { createRequire } from "node:module";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [modules, worker, data] = process.argv.slice(2);
const { Miniflare } = createRequire(join(modules, "package.json"))("miniflare");

const files = readdirSync(worker).sort((a, b) => (b === "main.js") - (a === "main.js"));
const simulator = new Miniflare({
  modules: files.map((name) => ({
    type: "ESModule",
    path: join(worker, name),
    contents: readFileSync(join(worker, name), "utf8"),
  })),
  modulesRoot: worker,
  compatibilityDate: "2026-04-01",
  bindings: { TARGET: "simulator" },
  kvNamespaces: ["KV"],
  kvPersist: data,
  cf: false,
  host: "127.0.0.1",
  port: 0,
});

console.log(String(await simulator.ready));
for await (const _ of process.stdin);
await simulator.dispose();
