// What a Worker may expect of its KV namespace. Each case keeps to keys of its
// own, under a prefix that no other case uses.

const MiB = 1024 * 1024;
const LARGEST = 25 * MiB;

const bytes = (...list) => new Uint8Array(list);
const now = () => Math.floor(Date.now() / 1000);
const collect = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());
const sha256 = async (data) =>
  [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].map((b) => b.toString(16).padStart(2, "0")).join("");

// noise is data that does not compress away, the same for the same length.
function noise(length) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
}

// unsized streams data without telling its length, so that the runtime sends
// it chunked.
function unsized(data, piece = 64 * 1024) {
  let at = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (at === data.length) return controller.close();
      const next = data.slice(at, at + piece);
      at += next.length;
      controller.enqueue(next);
    },
  });
}

// sized streams data with its length known beforehand.
function sized(data) {
  const { readable, writable } = new FixedLengthStream(data.length);
  const writer = writable.getWriter();
  writer.write(data).then(() => writer.close());
  return readable;
}

async function pages(kv, options) {
  const names = [];
  const sizes = [];
  for (let cursor; ; ) {
    const page = await kv.list({ ...options, cursor });
    names.push(...page.keys.map((k) => k.name));
    sizes.push(page.keys.length);
    if (page.list_complete) return { names, sizes, lastCursor: page.cursor };
    cursor = page.cursor;
  }
}

const NASTY_KEYS = [
  "bulk/get",
  "bulk",
  "bulk/delete",
  "values/x",
  "a/b/c",
  "a//b",
  "/leading",
  "trailing/",
  "/",
  "//",
  "a/./b",
  "a/../b",
  "../up",
  "./here",
  "...",
  ".hidden",
  " ",
  " spaces around ",
  "plus+plus",
  "100%",
  "%2F",
  "%252F",
  "%zz",
  "?query=1&b=2",
  "#fragment",
  "semi;colon",
  "back\\slash",
  'quote"quote',
  "<tag>&amp;",
  "tab\tnewline\nreturn\r",
  "nul\0inside",
  "\0",
  "\x01\x1f\x7f",
  "é",
  "e\u0301",
  "日本語",
  "😀",
  "👩‍👩‍👧‍👦",
  "\u202ertl",
  "\ufeffbom",
  "\ufffd",
  "\u{10ffff}",
  "favicon.ico",
  "CON",
  "key:with:colons",
  "[brackets]",
  "*?|",
  "x".repeat(512),
  "😀".repeat(128),
];

export const cases = {
  "put a string": async (kv, check) => {
    check.equal("put", await kv.put("string", "value"), undefined);
    check.equal("get", await kv.get("string"), "value");
    await kv.put("string", "ünï😀\0\r\n");
    check.equal("not ASCII", await kv.get("string"), "ünï😀\0\r\n");
    await kv.put("string", "");
    check.equal("empty", await kv.get("string"), "");
    check.equal("empty, with metadata", (await kv.getWithMetadata("string")).value, "");
  },

  "put bytes": async (kv, check) => {
    await kv.put("bytes", bytes(0, 255, 128, 10, 13).buffer);
    check.equal("ArrayBuffer", await kv.get("bytes", "arrayBuffer"), bytes(0, 255, 128, 10, 13).buffer);
    await kv.put("bytes", bytes(1, 2, 3, 4).subarray(1, 3));
    check.equal("view", await kv.get("bytes", "arrayBuffer"), bytes(2, 3).buffer);
    await kv.put("bytes", new ArrayBuffer(0));
    check.equal("empty", await kv.get("bytes", "arrayBuffer"), new ArrayBuffer(0));
  },

  "put a stream": async (kv, check) => {
    const data = noise(300_000);
    await kv.put("stream", sized(data));
    check.equal("known length", await sha256(await kv.get("stream", "arrayBuffer")), await sha256(data));
    await kv.put("stream", "something else");
    await kv.put("stream", unsized(data));
    check.equal("unknown length", await sha256(await kv.get("stream", "arrayBuffer")), await sha256(data));
    await kv.put("stream", unsized(bytes()));
    check.equal("empty", await kv.get("stream"), "");
    await kv.put("stream", "body of a response");
    await kv.put("stream copy", await kv.get("stream", "stream"));
    check.equal("from get to put", await kv.get("stream copy"), "body of a response");
  },

  "get in four types": async (kv, check) => {
    const json = { a: [1, 2.5, null, true], ü: "😀" };
    await kv.put("types", JSON.stringify(json));
    check.equal("default", await kv.get("types"), JSON.stringify(json));
    check.equal("text", await kv.get("types", "text"), JSON.stringify(json));
    check.equal("json", await kv.get("types", "json"), json);
    check.equal("type in options", await kv.get("types", { type: "json", cacheTtl: 60 }), json);
    check.equal("arrayBuffer", (await kv.get("types", "arrayBuffer")).byteLength, new TextEncoder().encode(JSON.stringify(json)).length);
    check.equal("stream", new TextDecoder().decode(await collect(await kv.get("types", "stream"))), JSON.stringify(json));
    await kv.put("types", bytes(65, 255, 66));
    check.equal("text of bytes that are no UTF-8", await kv.get("types"), "A\ufffdB");
  },

  "get what is not there": async (kv, check) => {
    for (const type of ["text", "json", "arrayBuffer", "stream"]) {
      check.equal(type, await kv.get("absent", type), null);
      const { value, metadata } = await kv.getWithMetadata("absent", type);
      check.equal(`${type} with metadata`, [value, metadata], [null, null]);
    }
  },

  "getWithMetadata": async (kv, check) => {
    const metadata = { tags: ["a", "b"], n: 1.5, deep: { er: null } };
    await kv.put("gwm", '{"v":1}', { metadata });
    for (const [type, want] of [
      ["text", '{"v":1}'],
      ["json", { v: 1 }],
    ]) {
      const got = await kv.getWithMetadata("gwm", type);
      check.equal(type, [got.value, got.metadata], [want, metadata]);
    }
    const got = await kv.getWithMetadata("gwm", { type: "stream", cacheTtl: 30 });
    check.equal("stream", [new TextDecoder().decode(await collect(got.value)), got.metadata], ['{"v":1}', metadata]);
    const plain = await kv.getWithMetadata("gwm", "arrayBuffer");
    check.equal("arrayBuffer", [plain.value.byteLength, plain.metadata], [7, metadata]);
  },

  "metadata of every form": async (kv, check) => {
    const forms = {
      object: { a: 1 },
      array: [1, "two", [3]],
      string: "text",
      empty: "",
      number: 12.5,
      zero: 0,
      true: true,
      false: false,
      "not ASCII": { ключ: "значение", "日本": "語", emoji: "😀", latin1: "é\u0080\u00ff" },
      escapes: 'quote " backslash \\ newline \n tab \t nul \u0000 and \u2028',
      spaces: "  at both ends  ",
      "1,024 bytes": "m".repeat(1022),
      "1,024 bytes, not ASCII": "é".repeat(511),
    };
    for (const [name, metadata] of Object.entries(forms)) {
      await kv.put(`metadata/${name}`, "v", { metadata });
      check.equal(name, (await kv.getWithMetadata(`metadata/${name}`)).metadata, metadata);
    }
    for (const key of (await kv.list({ prefix: "metadata/" })).keys) {
      check.equal(`${key.name} in a list`, key.metadata, forms[key.name.slice("metadata/".length)]);
    }
    const keys = Object.keys(forms).map((name) => `metadata/${name}`);
    for (const [key, { metadata }] of await kv.getWithMetadata(keys)) {
      check.equal(`${key} among several`, metadata, forms[key.slice("metadata/".length)]);
    }
  },

  "metadata of null is none": async (kv, check) => {
    await kv.put("none", "v", { metadata: { a: 1 } });
    await kv.put("none", "v", { metadata: null });
    check.equal("get", (await kv.getWithMetadata("none")).metadata, null);
    check.equal("list", (await kv.list({ prefix: "none" })).keys, [{ name: "none" }]);
  },

  "metadata with a DEL": async (kv, check) => {
    const put = () => kv.put("del", "v", { metadata: "\x7f" });
    if (check.onSimulator) return check.equal("put", await put(), undefined);
    await check.fails("put", put, "KV PUT failed: 400 Bad Request"); // net/http takes no such header.
  },

  "metadata that is none": async (kv, check) => {
    const put = () => kv.put("function", "v", { metadata: () => 1 }); // which the runtime sends as "undefined"
    const message = check.onSimulator ? "KV PUT failed: 500 Internal Server Error" : "KV PUT failed: 400 Metadata is not valid JSON";
    await check.fails("a function", put, message);
  },

  "metadata too large": async (kv, check) => {
    await kv.put("mlarge", "before");
    await check.fails(
      "1,025 bytes",
      () => kv.put("mlarge", "after", { metadata: "m".repeat(1023) }),
      "KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.",
    );
    await check.fails(
      "1,026 bytes, not ASCII",
      () => kv.put("mlarge", "after", { metadata: "é".repeat(512) }),
      "KV PUT failed: 413 Metadata length of 1026 exceeds limit of 1024.",
    );
    check.equal("nothing written", await kv.get("mlarge"), "before");
  },

  "a put forgets what the one before it set": async (kv, check) => {
    await kv.put("forget", "1", { metadata: "m", expirationTtl: 3600 });
    await kv.put("forget", "2");
    check.equal("get", (await kv.getWithMetadata("forget")).metadata, null);
    check.equal("list", (await kv.list({ prefix: "forget" })).keys, [{ name: "forget" }]);
  },

  "expiration": async (kv, check) => {
    const at = now() + 1000;
    await kv.put("expire/absolute", "v", { expiration: at });
    await kv.put("expire/both", "v", { expiration: at, expirationTtl: 5000 });
    await kv.put("expire/soonest", "v", { expirationTtl: 60 });
    await kv.put("expire/text", "v", { expirationTtl: "100" });
    await kv.put("expire/ttl", "v", { expirationTtl: 2000 });
    const seen = Object.fromEntries((await kv.list({ prefix: "expire/" })).keys.map((k) => [k.name, k.expiration]));
    const about = (ttl) => (got) => (got >= at - 1000 + ttl && got <= now() + ttl ? "as set" : got);
    check.equal("absolute", seen["expire/absolute"], at);
    check.equal("both: the TTL wins", about(5000)(seen["expire/both"]), "as set");
    check.equal("the soonest that is allowed", about(60)(seen["expire/soonest"]), "as set");
    check.equal("a number in a string", about(100)(seen["expire/text"]), "as set");
    check.equal("TTL", about(2000)(seen["expire/ttl"]), "as set");
    check.equal("still there", await kv.get("expire/soonest"), "v");
  },

  "expiration refused": async (kv, check) => {
    const put = (options) => kv.put("refused", "v", options);
    const past = now() - 10;
    const soon = now() + 30;
    const fails = (options, message) => check.fails(JSON.stringify(options), () => put(options), `KV PUT failed: 400 ${message}`);
    await fails({ expirationTtl: 0 }, "Invalid expiration_ttl of 0. Please specify integer greater than 0.");
    await fails({ expirationTtl: -1 }, "Invalid expiration_ttl of -1. Please specify integer greater than 0.");
    await fails({ expirationTtl: 30 }, "Invalid expiration_ttl of 30. Expiration TTL must be at least 60.");
    await fails({ expirationTtl: 59 }, "Invalid expiration_ttl of 59. Expiration TTL must be at least 60.");
    for (const expiration of [past, 0, -5]) {
      await fails(
        { expiration },
        `Invalid expiration of ${expiration}. Please specify integer greater than the current number of seconds since the UNIX epoch.`,
      );
    }
    await fails({ expiration: soon }, `Invalid expiration of ${soon}. Expiration times must be at least 60 seconds in the future.`);
    check.equal("nothing written", await kv.get("refused"), null);
  },

  "keys too long": async (kv, check) => {
    const long = "k".repeat(513);
    const message = (call) => `KV ${call} failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.`;
    await check.fails("put", () => kv.put(long, "v"), message("PUT"));
    await check.fails("get", () => kv.get(long), message("GET"));
    await check.fails("delete", () => kv.delete(long), message("DELETE"));
    await check.fails("getWithMetadata", () => kv.getWithMetadata(long), message("GET"));
    await check.fails("get of several", () => kv.get(["a", long]), message("GET_BULK"));
    await check.fails("list", () => kv.list({ prefix: long }), message("GET"));
    await check.fails(
      "not ASCII",
      () => kv.get(["é".repeat(257)]),
      "KV GET_BULK failed: 414 UTF-8 encoded length of 514 exceeds key length limit of 512.",
    );
  },

  "keys that are none": async (kv, check) => {
    await check.fails("empty", () => kv.put("", "v"), "Key name cannot be empty.");
    await check.fails(".", () => kv.put(".", "v"), '"." is not allowed as a key name.');
    await check.fails("..", () => kv.put("..", "v"), '".." is not allowed as a key name.');
    await check.fails("several, empty", () => kv.get(["a", ""]), "KV GET_BULK failed: 400 Key names must not be empty");
    for (const name of [".", ".."]) {
      await check.fails(
        `several, ${name}`,
        () => kv.get([name]),
        `KV GET_BULK failed: 400 Illegal key name "${name}". Please use a different name.`,
      );
    }
  },

  "nasty keys": async (kv, check) => {
    await Promise.all(NASTY_KEYS.map((key, i) => kv.put(key, `value ${i}`, { metadata: { i } })));
    const got = await Promise.all(NASTY_KEYS.map((key) => kv.getWithMetadata(key)));
    for (const [i, key] of NASTY_KEYS.entries()) {
      check.equal(key, [got[i].value, got[i].metadata], [`value ${i}`, { i }]);
    }
    const several = await kv.get(NASTY_KEYS);
    check.equal("several", several, new Map(NASTY_KEYS.map((key, i) => [key, `value ${i}`])));
    for (const key of NASTY_KEYS) {
      if (check.onSimulator && key.includes("\0")) continue; // It finds no prefix with a NUL in it.
      const { keys } = await kv.list({ prefix: key, limit: 1 });
      check.equal(`list from ${key}`, keys[0]?.name, key);
    }
    await Promise.all(NASTY_KEYS.map((key) => kv.delete(key)));
    check.equal("deleted", new Set((await kv.get(NASTY_KEYS)).values()).size, 1);
  },

  "a key that is no UTF-16": async (kv, check) => {
    const message = (call) => `KV ${call} failed: 400 Could not URL-decode key name`;
    await check.fails("put", () => kv.put("lone \ud800", "v"), message("PUT"));
    await check.fails("get", () => kv.get("lone \udc00"), message("GET"));
    await check.fails("delete", () => kv.delete("\ud800"), message("DELETE"));
  },

  "keys differ in case": async (kv, check) => {
    await kv.put("case/a", "lower");
    await kv.put("case/A", "upper");
    check.equal("lower", await kv.get("case/a"), "lower");
    check.equal("upper", await kv.get("case/A"), "upper");
  },

  "delete": async (kv, check) => {
    await kv.put("delete", "v", { metadata: "m" });
    check.equal("returns", await kv.delete("delete"), undefined);
    check.equal("get", await kv.get("delete"), null);
    check.equal("list", (await kv.list({ prefix: "delete" })).keys, []);
    check.equal("again", await kv.delete("delete"), undefined);
    check.equal("never there", await kv.delete("delete/never"), undefined);
  },

  "get of several": async (kv, check) => {
    await kv.put("several/a", "1", { metadata: { m: 1 } });
    await kv.put("several/b", "[2]");
    await kv.put("several/ü😀", '"drei"');
    const keys = ["several/ü😀", "several/a", "several/absent", "several/b"];
    check.equal("text, in the order asked for", await kv.get(keys), new Map([
      ["several/ü😀", '"drei"'],
      ["several/a", "1"],
      ["several/absent", null],
      ["several/b", "[2]"],
    ]));
    check.equal("json", await kv.get(keys, "json"), new Map([
      ["several/ü😀", "drei"],
      ["several/a", 1],
      ["several/absent", null],
      ["several/b", [2]],
    ]));
    check.equal("options", await kv.get(["several/a"], { type: "text", cacheTtl: 60 }), new Map([["several/a", "1"]]));
    check.equal("twice the same", await kv.get(["several/a", "several/b", "several/a"]), new Map([
      ["several/a", "1"],
      ["several/b", "[2]"],
    ]));
    const hundred = Array.from({ length: 100 }, (_, i) => `several/${i}`);
    check.equal("a hundred", (await kv.get(hundred)).size, 100);
  },

  "getWithMetadata of several": async (kv, check) => {
    await kv.put("gwms/a", '{"x":1}', { metadata: { m: "é" } });
    await kv.put("gwms/b", "2");
    const keys = ["gwms/b", "gwms/absent", "gwms/a"];
    const pick = async (promise) =>
      new Map([...(await promise)].map(([k, v]) => [k, v === null ? null : [v.value, v.metadata]]));
    // The simulator answers null for an absent key, which the runtime hands on.
    check.equal("text", await pick(kv.getWithMetadata(keys)), new Map([
      ["gwms/b", ["2", null]],
      ["gwms/absent", null],
      ["gwms/a", ['{"x":1}', { m: "é" }]],
    ]));
    check.equal("json", await pick(kv.getWithMetadata(keys, "json")), new Map([
      ["gwms/b", [2, null]],
      ["gwms/absent", null],
      ["gwms/a", [{ x: 1 }, { m: "é" }]],
    ]));
  },

  "values that are false, among several": async (kv, check) => {
    await kv.put("falsy/empty", "");
    await kv.put("falsy/zero", "0");
    const keys = ["falsy/empty", "falsy/zero"];
    check.equal("text", await kv.get(keys), new Map([["falsy/empty", ""], ["falsy/zero", "0"]]));
    if (check.onSimulator) return; // It loses the wrapping around values that are false to JavaScript.
    check.equal("with metadata", await kv.getWithMetadata(keys), new Map([
      ["falsy/empty", { value: "", metadata: null }],
      ["falsy/zero", { value: "0", metadata: null }],
    ]));
    check.equal("json with metadata", await kv.getWithMetadata(["falsy/zero"], "json"), new Map([
      ["falsy/zero", { value: 0, metadata: null }],
    ]));
  },

  "get of several refused": async (kv, check) => {
    await kv.put("severalbad/text", "no JSON");
    const fails = (what, call, message) => check.fails(what, call, `KV GET_BULK failed: 400 ${message}`);
    await fails("no key", () => kv.get([]), "You must request a minimum of 1 key");
    const many = Array.from({ length: 101 }, (_, i) => `severalbad/${i}`);
    await fails("101 keys", () => kv.get(many), "You can request a maximum of 100 keys");
    await fails("101 times one key", () => kv.get(Array(101).fill("x")), "You can request a maximum of 100 keys");
    await fails("bytes", () => kv.get(["x"], "arrayBuffer"), '"arrayBuffer" is not a valid type. Use "json" or "text"');
    await fails("stream", () => kv.get(["x"], "stream"), '"stream" is not a valid type. Use "json" or "text"');
    await fails(
      "no JSON",
      () => kv.get(["severalbad/text"], "json"),
      "At least one of the requested keys corresponds to a non-json value",
    );
    await fails(
      "cacheTtl",
      () => kv.get(["severalbad/text"], { cacheTtl: 10 }),
      "Invalid cache_ttl of 10. Cache TTL must be at least 30.",
    );
  },

  "get of several too large": async (kv, check) => {
    const value = "x".repeat(9 * MiB);
    for (const key of ["a", "b", "c"]) await kv.put(`toolarge/${key}`, value);
    await check.fails(
      "27 MiB",
      () => kv.get(["toolarge/a", "toolarge/b", "toolarge/c"]),
      "KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB",
    );
    check.equal("18 MiB", [...(await kv.get(["toolarge/a", "toolarge/b"])).values()].map((v) => v.length), [9 * MiB, 9 * MiB]);
    for (const key of ["a", "b", "c"]) await kv.delete(`toolarge/${key}`);
  },

  "cacheTtl": async (kv, check) => {
    await kv.put("cache", "v");
    check.equal("30", await kv.get("cache", { cacheTtl: 30 }), "v");
    for (const cacheTtl of [10, 29, 1]) {
      await check.fails(
        `${cacheTtl}`,
        () => kv.get("cache", { cacheTtl }),
        `KV GET failed: 400 Invalid cache_ttl of ${cacheTtl}. Cache TTL must be at least 30.`,
      );
    }
    await check.fails(
      "for an absent key",
      () => kv.getWithMetadata("cache/absent", { cacheTtl: 10 }),
      "KV GET failed: 400 Invalid cache_ttl of 10. Cache TTL must be at least 30.",
    );
  },

  "the largest value": async (kv, check) => {
    const data = noise(LARGEST);
    const want = await sha256(data);
    await kv.put("largest", data);
    check.equal("from bytes", await sha256(await kv.get("largest", "arrayBuffer")), want);
    await kv.put("largest", unsized(data, MiB), { metadata: "streamed" });
    const got = await kv.getWithMetadata("largest", "stream");
    check.equal("from a stream", [await sha256(await collect(got.value)), got.metadata], [want, "streamed"]);
  },

  "values too large": async (kv, check) => {
    await kv.put("over", "before");
    const message = `KV PUT failed: 413 Value length of ${LARGEST + 1} exceeds limit of ${LARGEST}.`;
    const data = noise(LARGEST + 1);
    await check.fails("bytes", () => kv.put("over", data), message);
    await check.fails("a stream of known length", () => kv.put("over", sized(data)), message);
    await check.fails("a stream of unknown length", () => kv.put("over", unsized(data, MiB)), message);
    check.equal("nothing written", await kv.get("over"), "before");
  },

  "list": async (kv, check) => {
    const names = Array.from({ length: 25 }, (_, i) => `list/${String(i).padStart(2, "0")}`);
    await Promise.all(names.map((name) => kv.put(name, "v")));
    const all = await kv.list({ prefix: "list/" });
    check.equal("all", [all.keys, all.list_complete, all.cursor], [names.map((name) => ({ name })), true, undefined]);
    for (const limit of [1, 7, 24, 25, 26, 1000]) {
      const { names: got, lastCursor } = await pages(kv, { prefix: "list/", limit });
      check.equal(`pages of ${limit}`, [got, lastCursor], [names, undefined]);
    }
    const first = await kv.list({ prefix: "list/", limit: 10 });
    check.equal("first page", [first.keys.length, first.list_complete, typeof first.cursor], [10, false, "string"]);
    await kv.put("list/000 behind", "v");
    await kv.put("list/12 ahead", "v");
    await kv.delete("list/13");
    const rest = await kv.list({ prefix: "list/", cursor: first.cursor });
    check.equal("writes between pages", rest.keys.map((k) => k.name), [
      "list/10",
      "list/11",
      "list/12",
      "list/12 ahead",
      ...names.slice(14),
    ]);
    check.equal("no such prefix", (await kv.list({ prefix: "list/no" })).keys, []);
    check.equal("no options", (await kv.list()).keys.length > 0, true);
    check.equal("an empty prefix and cursor", (await kv.list({ prefix: "", cursor: "", limit: 1 })).keys.length, 1);
  },

  "list in the order of UTF-8": async (kv, check) => {
    const sorted = ["\0", "\x01", " ", "!", "A", "Z", "a", "aa", "b", "\x7f", "é", "€", "\uffee", "\ufffd", "😀", "\u{10ffff}"];
    await Promise.all([...sorted].reverse().map((s) => kv.put(`order/${s}`, "v")));
    const got = await kv.list({ prefix: "order/" });
    check.equal("one page", got.keys.map((k) => k.name.slice(6)), sorted);
    check.equal("many pages", (await pages(kv, { prefix: "order/", limit: 3 })).names.map((n) => n.slice(6)), sorted);
  },

  "list with prefixes": async (kv, check) => {
    const names = ["a b", "a+b", "a%20b", "a%b", "a&b=c", "a?b", "a#b", "a/b", "aéb", "a😀b", 'a"b', "a\0b", "a_b", "a*b"];
    await Promise.all(names.map((name) => kv.put(`prefix/${name}`, "v")));
    for (const name of names) {
      if (check.onSimulator && name.includes("\0")) continue; // It finds no prefix with a NUL in it.
      check.equal(name, (await kv.list({ prefix: `prefix/${name}` })).keys, [{ name: `prefix/${name}` }]);
    }
    check.equal("of 512 bytes", (await kv.list({ prefix: "p".repeat(512) })).keys, []);
  },

  "list with metadata and expiration": async (kv, check) => {
    const at = now() + 5000;
    await kv.put("listed/a", "v", { metadata: { n: [1, "é"] }, expiration: at });
    await kv.put("listed/b", "v", { expiration: at });
    await kv.put("listed/c", "v", { metadata: "c" });
    await kv.put("listed/d", "v");
    check.equal("keys", (await kv.list({ prefix: "listed/" })).keys, [
      { name: "listed/a", expiration: at, metadata: { n: [1, "é"] } },
      { name: "listed/b", expiration: at },
      { name: "listed/c", metadata: "c" },
      { name: "listed/d" },
    ]);
  },

  "list of a thousand": async (kv, check) => {
    const names = Array.from({ length: 1001 }, (_, i) => `thousand/${String(i).padStart(4, "0")}`);
    for (let at = 0; at < names.length; at += 100) {
      await Promise.all(names.slice(at, at + 100).map((name) => kv.put(name, "")));
    }
    const first = await kv.list({ prefix: "thousand/" });
    check.equal("the default limit", [first.keys.length, first.list_complete], [1000, false]);
    const rest = await kv.list({ prefix: "thousand/", cursor: first.cursor });
    check.equal("the rest", [rest.keys, rest.list_complete], [[{ name: "thousand/1000" }], true]);
    check.equal("a limit of 0", (await kv.list({ prefix: "thousand/", limit: 0 })).keys.length, 1000);
  },

  "list refused": async (kv, check) => {
    for (const limit of [1001, 5000]) {
      await check.fails(
        `limit ${limit}`,
        () => kv.list({ limit }),
        `KV GET failed: 400 Invalid key_count_limit of ${limit}. Please specify an integer less than 1000.`,
      );
    }
  },

  "many at once": async (kv, check) => {
    const names = Array.from({ length: 200 }, (_, i) => `many/${i}`);
    await Promise.all(names.map((name, i) => kv.put(name, `${i}`, { metadata: i })));
    const got = await Promise.all(names.map((name) => kv.getWithMetadata(name)));
    check.equal("all there", got.map((g) => [g.value, g.metadata]), names.map((_, i) => [`${i}`, i]));
    await Promise.all(names.map((name) => kv.delete(name)));
    check.equal("all gone", (await kv.list({ prefix: "many/" })).keys, []);
  },
};
