// A Worker with a namespace bound to it as KV: a small store of notes. Run it with
//
//     firn dev worker.js --bind KV=notes
//
// and then
//
//     curl -X PUT --data 'buy milk' 'http://127.0.0.1:8080/errands?ttl=3600'
//     curl http://127.0.0.1:8080/errands
//     curl http://127.0.0.1:8080/
//     curl -X DELETE http://127.0.0.1:8080/errands

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const name = decodeURIComponent(url.pathname.slice(1));
    if (name === "") {
      return request.method === "GET" ? list(env.KV, url.searchParams) : refuse();
    }
    switch (request.method) {
      case "GET":
        return read(env.KV, name);
      case "PUT":
        return write(env.KV, name, request.body ?? "", url.searchParams.get("ttl"));
      case "DELETE":
        await env.KV.delete(name);
        return new Response(null, { status: 204 });
    }
    return refuse();
  },
};

// list answers with a page of names. The cursor of one page leads to the next.
async function list(kv, params) {
  const page = await kv.list({ prefix: params.get("prefix"), cursor: params.get("cursor") });
  return Response.json({
    notes: page.keys.map(({ name, expiration, metadata }) => ({ name, expiration, written: metadata?.written })),
    cursor: page.list_complete ? undefined : page.cursor,
  });
}

async function read(kv, name) {
  const { value, metadata } = await kv.getWithMetadata(name, "stream");
  if (value === null) {
    return new Response("there is no such note\n", { status: 404 });
  }
  return new Response(value, { headers: { "Last-Modified": metadata?.written ?? "" } });
}

// write stores the body as it comes in, without taking all of it into memory.
async function write(kv, name, body, ttl) {
  const options = { metadata: { written: new Date().toUTCString() } };
  if (ttl !== null) {
    options.expirationTtl = Number(ttl);
  }
  try {
    await kv.put(name, body, options);
  } catch (error) {
    return new Response(`${error.message}\n`, { status: 400 });
  }
  return new Response(null, { status: 204 });
}

function refuse() {
  return new Response("use GET, PUT or DELETE\n", { status: 405 });
}
