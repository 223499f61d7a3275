// Package e2e has no code of its own: its tests run the clients that people
// use, unchanged and in pinned versions, against a `firn serve` of this tree.
//
//   - Workers in workerd, the official runtime, through its KV binding
//     (worker_test.go, testdata/worker). The same Worker runs on the official
//     local simulator, so that what is demanded of Firn is what programs and
//     their tests know from there.
//   - wrangler, the official command line (wrangler_test.go).
//   - The official SDKs for TypeScript and Go (sdk_node_test.go,
//     sdk_go_test.go).
//   - What differs over TLS and over a Unix socket (transport_test.go).
//   - 64 connections that write while the server is killed (kill_test.go).
//   - 100 large values that are streamed at once, and the memory that takes
//     (streams_test.go).
//
// BenchmarkWorker compares Firn and the simulator under one Worker, and
// BenchmarkHTTP has 64 connections put and get without one:
//
//	go test -run '^$' -bench . -benchtime 3x
//
// What comes from npm is described by package.json and package-lock.json, and
// installed once for each lock file under the user's cache directory. Without
// node and npm, what needs them is skipped.
package e2e
