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
// it may be done twice; a stream is at hand until somebody has begun to read it.
// After that, the error matches [ErrUncertain] if the server may have done something
// of it.
//
// So a put or a delete, also one of many in a bulk write, may be done twice. If
// somebody else has written to the key in between, the second time undoes that.
//
// A request is given up if the server takes nothing of it, or gives nothing of its
// answer, for two minutes. Nothing else calls off a bulk write that is under way, so
// that it is known what became of it; one whose context is done is not tried again.
//
// # The token
//
// It goes to the address that was given and nowhere else: redirects are not followed. A
// proxy of the environment gets only what is encrypted for that address: it is asked to
// connect to an https URL, and is not used for others.
package remote
