// The Worker under test: GET / names the cases, GET /NAME runs one and answers
// with what it saw and what should have been.

import { cases } from "./cases.js";
import { Checks } from "./checks.js";

export default {
  async fetch(request, env) {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (name === "") return Response.json(Object.keys(cases));
    const check = new Checks(env.TARGET);
    try {
      await cases[name](env.KV, check);
    } catch (e) {
      check.equal("the case", `${e.stack ?? e}`, "no exception");
    }
    return Response.json(check.list);
  },
};
