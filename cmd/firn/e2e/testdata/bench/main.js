// The Worker of BenchmarkWorker. GET /put, /get and /list run that operation
// ?count times with ?flight of them under way; the values have ?size bytes, and
// the keys are the first ?keys.

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const number = (name) => Number(url.searchParams.get(name));
    const [count, flight, size, keys] = ["count", "flight", "size", "keys"].map(number);
    const key = (i) => `user:${String(i % keys).padStart(8, "0")}`;
    const value = (i) => {
      const text = JSON.stringify({ id: i, name: `user ${i}`, bio: "" });
      return text.padEnd(size, ` ${(i * 2654435761) >>> 0}`);
    };
    const operation = {
      put: (i) => env.KV.put(key(i), value(i)),
      get: async (i) => {
        const got = await env.KV.get(key(i));
        if (got?.length !== size) throw new Error(`${key(i)}: ${got}`);
      },
      list: async (i) => {
        // Pages of 100 from all over the keys.
        const prefix = `user:${String(i % (keys / 100)).padStart(6, "0")}`;
        const page = await env.KV.list({ prefix, limit: 100 });
        if (page.keys.length !== 100) throw new Error(`${prefix}: ${page.keys.length} keys`);
      },
    }[url.pathname.slice(1)];
    let next = 0;
    const lane = async () => {
      while (next < count) await operation(next++);
    };
    await Promise.all(Array.from({ length: flight }, lane));
    return new Response(null, { status: 204 });
  },
};
