// Every call that the official TypeScript SDK has for KV:
//
//   node sdk.mjs MODULES ACCOUNT
//
// with the address and the token in CLOUDFLARE_BASE_URL and CLOUDFLARE_API_TOKEN.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, account_id] = process.argv.slice(2);
const sdk = createRequire(join(modules, "package.json"))("cloudflare");
const client = new sdk.Cloudflare();
const { namespaces } = client.kv;
const account = { account_id };
const all = async (pages) => {
  const list = [];
  for await (const item of pages) {
    list.push(item);
    assert.ok(list.length < 3_000, "pages without end");
  }
  return list;
};
const code = (status, number) => (e) => {
  assert.equal(e.status, status, e.message);
  assert.deepEqual(e.errors.map((x) => x.code), [number]);
  return true;
};

// Namespaces.
const created = await namespaces.create({ ...account, title: "sdk: ünï 😀" });
assert.match(created.id, /^[0-9a-f]{32}$/);
assert.deepEqual(created, { id: created.id, title: "sdk: ünï 😀", supports_url_encoding: true });
await assert.rejects(namespaces.create({ ...account, title: created.title }), code(400, 10014));
assert.deepEqual(await namespaces.get(created.id, account), created);
const renamed = await namespaces.update(created.id, { ...account, title: "sdk" });
assert.equal(renamed.title, "sdk");
await assert.rejects(namespaces.get("f".repeat(32), account), code(404, 10013));

const titles = Array.from({ length: 7 }, (_, i) => `page ${i}`);
for (const title of titles) await namespaces.create({ ...account, title });
for (const per_page of [3, 7, 100]) {
  const listed = await all(namespaces.list({ ...account, per_page, order: "title", direction: "asc" }));
  assert.deepEqual(listed.map((n) => n.title), [...titles, "sdk"], `pages of ${per_page}`);
}
const down = await all(namespaces.list({ ...account, order: "title", direction: "desc" }));
assert.deepEqual(down.map((n) => n.title), ["sdk", ...titles.toReversed()]);
const byID = await all(namespaces.list({ ...account, order: "id", direction: "asc" }));
assert.deepEqual(byID.map((n) => n.id), byID.map((n) => n.id).toSorted());

// Single values. The SDK sends them as forms.
const namespace_id = created.id;
const at = { ...account, namespace_id };
const put = (key, value, rest) => namespaces.values.update(key, { ...at, value, ...rest });
const get = (key) => namespaces.values.get(key, at);
const text = async (key) => (await get(key)).text();

for (const key of ["plain", "bulk/get", "a/b//c", "..hidden", "space and +", "100%", "%2F", "?a=b&c", "#f", "日本語 😀", "é".repeat(256)]) {
  await put(key, `value of ${key}`);
  assert.equal(await text(key), `value of ${key}`);
  await namespaces.values.delete(key, at);
  await assert.rejects(get(key), code(404, 10009));
}
await namespaces.values.delete("never there", at);

await put("empty", "");
assert.equal(await text("empty"), "");
const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3);
await put("file", await sdk.toFile(Buffer.from(bytes), "name.bin", { type: "image/png" }));
assert.deepEqual(new Uint8Array(await (await get("file")).arrayBuffer()), bytes);

// Metadata: as JSON, and as an object, which the SDK takes apart.
const metadata = async (key) => namespaces.metadata.get(key, at);
const object = { a: "text", n: 1.5, yes: true, deep: { er: "é 😀", est: { x: "y" } }, list: ["1st", "2nd"] };
await put("json", "v", { metadata: JSON.stringify({ ...object, none: null, empty: [] }) });
assert.deepEqual(await metadata("json"), { ...object, none: null, empty: [] });
await put("object", "v", { metadata: object });
assert.deepEqual(await metadata("object"), object);
await put("object", "v");
assert.equal(await metadata("object"), null);
await assert.rejects(metadata("absent"), code(404, 10009));
await assert.rejects(put("json", "v", { metadata: JSON.stringify("m".repeat(1023)) }), (e) => [400, 413].includes(e.status));

// Expiration.
const now = Math.floor(Date.now() / 1000);
await put("expiring", "v", { expiration: now + 1000 });
assert.equal((await get("expiring")).headers.get("expiration"), `${now + 1000}`);
await put("expiring", "v", { expiration_ttl: 500 });
const until = Number((await get("expiring")).headers.get("expiration"));
assert.ok(until >= now + 500 && until < now + 560, `${until}`);
await assert.rejects(put("expiring", "v", { expiration_ttl: 30 }), (e) => e.status === 400);

// Many at once: first the calls of the namespace, then the same among the keys.
for (const [bulk, prefix] of [[namespaces, "n/"], [namespaces.keys, "k/"]]) {
  const pairs = Array.from({ length: 2345 }, (_, i) => ({ key: `${prefix}${String(i).padStart(4, "0")}`, value: `${i}` }));
  pairs[0] = { ...pairs[0], value: '{"json":[1]}', metadata: { m: "é" }, expiration: now + 5000 };
  pairs[1] = { ...pairs[1], value: Buffer.from([0, 255, 65]).toString("base64"), base64: true, metadata: null };
  pairs[2] = { ...pairs[2], expiration_ttl: 4000 };
  assert.deepEqual(await bulk.bulkUpdate(namespace_id, { ...account, body: pairs }), {
    successful_key_count: pairs.length,
    unsuccessful_keys: [],
  });
  assert.deepEqual(new Uint8Array(await (await get(pairs[1].key)).arrayBuffer()), Uint8Array.of(0, 255, 65));

  // keys.list goes on from page to page.
  for (const limit of [undefined, 1000, 500]) {
    const listed = await all(namespaces.keys.list(namespace_id, { ...account, prefix, limit }));
    assert.deepEqual(listed.map((k) => k.name), pairs.map((p) => p.key));
    assert.deepEqual(listed[0], { name: pairs[0].key, metadata: { m: "é" }, expiration: now + 5000 });
    assert.deepEqual(listed[1], { name: pairs[1].key });
    assert.ok(listed[2].expiration >= now + 4000);
  }

  const keys = [pairs[0].key, pairs[3].key, `${prefix}absent`];
  assert.deepEqual(await bulk.bulkGet(namespace_id, { ...account, keys }), {
    values: { [keys[0]]: '{"json":[1]}', [keys[1]]: "3", [keys[2]]: null },
  });
  assert.deepEqual(await bulk.bulkGet(namespace_id, { ...account, keys, type: "json" }), {
    values: { [keys[0]]: { json: [1] }, [keys[1]]: 3, [keys[2]]: null },
  });
  assert.deepEqual(await bulk.bulkGet(namespace_id, { ...account, keys, withMetadata: true }), {
    values: {
      [keys[0]]: { value: '{"json":[1]}', metadata: { m: "é" }, expiration: now + 5000 },
      [keys[1]]: { value: "3", metadata: null },
      [keys[2]]: null,
    },
  });

  await assert.rejects(
    bulk.bulkUpdate(namespace_id, { ...account, body: [{ key: `${prefix}no`, value: "v" }, { key: "", value: "v" }] }),
    (e) => e.status === 400,
  );
  await assert.rejects(get(`${prefix}no`), code(404, 10009));

  assert.deepEqual(await bulk.bulkDelete(namespace_id, { ...account, body: pairs.map((p) => p.key) }), {
    successful_key_count: pairs.length,
    unsuccessful_keys: [],
  });
  assert.deepEqual(await all(namespaces.keys.list(namespace_id, { ...account, prefix })), []);
}

// What goes with KV, and who may not.
assert.ok((await all(client.accounts.list())).length > 0);
const stranger = new sdk.Cloudflare({ apiToken: "nobody knows this one" });
await assert.rejects(stranger.kv.namespaces.get(created.id, account), (e) => [401, 403].includes(e.status) && e.errors[0].code === 10000);

for (const { id } of await all(namespaces.list(account))) await namespaces.delete(id, account);
assert.deepEqual(await all(namespaces.list(account)), []);
