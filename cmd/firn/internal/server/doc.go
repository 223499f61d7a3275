// Package server is what stands around the handlers of a server: listeners and
// their limits, TLS, the health of the server, and its end. It knows nothing of
// what is served.
//
// A connection passes, from the network on: the cap of connections, TLS, what
// the configuration wraps around, and net/http with HTTP/1.1. HTTP/2 is not
// offered: answers carry their message in the reason phrase, which it does not
// have. A request passes the pace of the client, and then the handler.
package server
