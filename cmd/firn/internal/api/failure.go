package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// Codes in the envelope of the REST API.
const (
	codeRoute       = 7003
	codeAuth        = 10000
	codeBad         = 10001
	codeInternal    = 10002
	codeNoKey       = 10009
	codeNoNamespace = 10013
	codeTitleInUse  = 10014
	codeMethod      = 10405
	codeBusy        = 10429
	codeUnavailable = 10503
	codeNoSpace     = 10507
)

// failure is an answer that is not the one that was hoped for.
type failure struct {
	status int
	code   int
	text   string
	allow  string // the methods that are allowed, where that is what is wrong
}

func (f *failure) Error() string { return f.text }

// bad refuses a request that is not valid.
func bad(format string, args ...any) error {
	return &failure{status: http.StatusBadRequest, code: codeBad, text: fmt.Sprintf(format, args...)}
}

// over refuses what is larger than it may be.
func over(format string, args ...any) error {
	return &failure{status: http.StatusRequestEntityTooLarge, code: codeBad, text: fmt.Sprintf(format, args...)}
}

func notAllowed(methods string) error {
	return &failure{status: http.StatusMethodNotAllowed, code: codeMethod, text: "Method Not Allowed", allow: methods}
}

var (
	errRoute       = &failure{status: http.StatusNotFound, code: codeRoute, text: "Could not route to this path, perhaps an identifier in it is not valid."}
	errToken       = &failure{status: http.StatusUnauthorized, code: codeAuth, text: "Authentication error"}
	errForbidden   = &failure{status: http.StatusForbidden, code: codeAuth, text: "Authentication error: the token does not allow this"}
	errNoKey       = &failure{status: http.StatusNotFound, code: codeNoKey, text: "key not found"}
	errNoNamespace = &failure{status: http.StatusNotFound, code: codeNoNamespace, text: "namespace not found"}
	errBusy        = &failure{status: http.StatusTooManyRequests, code: codeBusy, text: "Too many requests at once"}
	errSlow        = &failure{status: http.StatusRequestTimeout, code: codeBad, text: "The request body came too slowly"}
	errInternal    = &failure{status: http.StatusInternalServerError, code: codeInternal, text: "Internal error of the server; its log says more"}
	errReadOnly    = &failure{status: http.StatusServiceUnavailable, code: codeUnavailable, text: "The store takes no writes"}
	errClosed      = &failure{status: http.StatusServiceUnavailable, code: codeUnavailable, text: "The store is being closed"}
	errLocked      = &failure{status: http.StatusServiceUnavailable, code: codeUnavailable, text: "The store is in use by another process"}
	errNoSpace     = &failure{status: http.StatusInsufficientStorage, code: codeNoSpace, text: "No space left on the disk of the server"}
)

// failures are what the answers of packages engine and namespaces mean to a client.
// Those with a text are told apart only here; the others are refused before they get
// to the store, unless it has stricter limits than Workers KV, and say it in their
// own words.
var failures = []struct {
	err     error
	failure *failure
	status  int
	code    int
}{
	{err: engine.ErrNotFound, failure: errNoKey},
	{err: namespaces.ErrNotExist, failure: errNoNamespace},
	{err: engine.ErrNoSpace, failure: errNoSpace},
	{err: engine.ErrReadOnly, failure: errReadOnly},
	{err: engine.ErrClosed, failure: errClosed},
	{err: engine.ErrLocked, failure: errLocked},
	{err: namespaces.ErrTitleInUse, status: http.StatusBadRequest, code: codeTitleInUse},
	{err: namespaces.ErrTitle, status: http.StatusBadRequest},
	{err: namespaces.ErrTooMany, status: http.StatusBadRequest},
	{err: engine.ErrKeyEmpty, status: http.StatusBadRequest},
	{err: engine.ErrKeyReserved, status: http.StatusBadRequest},
	{err: engine.ErrKeyNotUTF8, status: http.StatusBadRequest},
	{err: engine.ErrKeyTooLong, status: http.StatusRequestURITooLong},
	{err: engine.ErrPrefixTooLong, status: http.StatusRequestURITooLong},
	{err: engine.ErrValueTooLarge, status: http.StatusRequestEntityTooLarge},
	{err: engine.ErrMetadataTooLarge, status: http.StatusRequestEntityTooLarge},
	{err: engine.ErrMetadataNotJSON, status: http.StatusBadRequest},
	{err: engine.ErrTTLTooShort, status: http.StatusBadRequest},
	{err: engine.ErrExpirationPast, status: http.StatusBadRequest},
	{err: engine.ErrExpirationTooSoon, status: http.StatusBadRequest},
	{err: engine.ErrBatchTooLong, status: http.StatusBadRequest},
	{err: engine.ErrBatchTooLarge, status: http.StatusRequestEntityTooLarge},
	{err: engine.ErrListLimit, status: http.StatusBadRequest},
	{err: engine.ErrCursor, status: http.StatusBadRequest},
}

// failureOf returns how err is answered.
func failureOf(err error) failure {
	var f *failure
	if errors.As(err, &f) {
		return *f
	}
	for _, known := range failures {
		if !errors.Is(err, known.err) {
			continue
		}
		if known.failure != nil {
			return *known.failure
		}
		f := failure{status: known.status, code: known.code, text: err.Error()}
		if f.code == 0 {
			f.code = codeBad
		}
		return f
	}
	return *errInternal
}

// appendFailure appends the envelope of a failure.
func appendFailure(b []byte, f *failure) []byte {
	b = append(b, `{"success":false,"errors":[{"code":`...)
	b = strconv.AppendInt(b, int64(f.code), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, f.text)
	return append(b, `}],"messages":[],"result":null}`...)
}

// withoutKeys returns the text of err for the log.
func (h *handler) withoutKeys(err error, key string) string {
	if h.LogKeys {
		return err.Error()
	}
	var pair *engine.PairError
	if errors.As(err, &pair) {
		err = pair.Err
	}
	var damage *engine.CorruptError
	if errors.As(err, &damage) {
		return fmt.Sprintf("%s: damaged at %d", damage.File, damage.Offset)
	}
	text := err.Error()
	if key != "" {
		text = strings.ReplaceAll(text, strconv.Quote(key), "(key)")
	}
	return text
}
