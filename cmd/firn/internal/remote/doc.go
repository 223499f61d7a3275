// Package remote is a client of the REST API of Workers KV: of "firn serve", or of
// any other server that speaks it. A [Namespace] has the pairs of one namespace, with
// the limits, the errors and the meaning that they have in a store of package engine.
//
// # Exactness
//
// The API gives values in bulk as text only. Where the text may stand for other
// bytes, which U+FFFD tells, the value is read again by itself.
//
// # Failures
//
// A request is sent up to five times, with pauses that grow, if no connection could
// be made, or if the server answers 429 or 503 and says in Retry-After when to come
// again. One whose connection breaks is sent again only if its body is at hand and
// it may be done twice. After that, the error matches [ErrUncertain] if the server
// may have done something of it.
//
// # The token
//
// It goes to the address that was given and nowhere else: redirects are not followed.
package remote
