// Checks collects what a case saw; the Go test compares.
export class Checks {
  list = [];

  constructor(target) {
    // True where the Worker runs on the official local simulator: the few
    // places in which Firn differs from it on purpose ask for this.
    this.onSimulator = target === "simulator";
  }

  equal(what, got, want) {
    this.list.push({ what, got: JSON.stringify(plain(got)), want: JSON.stringify(plain(want)) });
  }

  async fails(what, call, want) {
    let got;
    try {
      got = { returned: plain(await call()) };
    } catch (e) {
      got = e.message;
    }
    this.equal(what, got, want);
  }
}

// plain makes JSON of what JSON has no form for.
function plain(value) {
  if (value === undefined) return { undefined: true };
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)].join(" ") };
  if (value instanceof Map) return { map: [...value].map(([k, v]) => [k, plain(v)]) };
  return value;
}
