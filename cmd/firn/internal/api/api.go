package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firnkv/firn/engine/namespaces"
)

// Pool is what the handler needs of a [*namespaces.Pool].
type Pool interface {
	Acquire(ctx context.Context, id string) (*namespaces.Lease, error)
	AcquireDefault(ctx context.Context) (*namespaces.Lease, error)
	Resolve(ctx context.Context, nameOrID string) (namespaces.Namespace, error)
	Find(ctx context.Context, id string) (namespaces.Namespace, error)
	List(ctx context.Context) ([]namespaces.Namespace, error)
	Create(ctx context.Context, title string) (namespaces.Namespace, error)
	Rename(ctx context.Context, id, title string) (namespaces.Namespace, error)
	Delete(ctx context.Context, id string) (namespaces.Namespace, error)
}

// Grant says what the bearer of a token may do. Its methods are called
// concurrently.
//
// What concerns the namespace "default" while it does not exist is asked with its
// title in place of the id.
type Grant interface {
	// Read and Write are for the pairs of one namespace.
	Read(namespaceID string) bool
	Write(namespaceID string) bool
	// Manage is for creating, renaming and deleting namespaces, and for seeing
	// those that neither Read nor Write allows.
	Manage() bool
}

// Config says what a handler serves, and how.
type Config struct {
	// Pool has the namespaces.
	Pool Pool

	// Authorize returns what the bearer of a token may do, and whether there is
	// such a token. A request without one is asked about with an empty secret.
	// nil: everybody may do everything.
	Authorize func(secret string) (Grant, bool)

	// AccountID is the account that /accounts and /memberships name. Requests
	// may name any. Empty: 32 zeros.
	AccountID string

	// Log receives failures of the server. nil: slog.Default().
	Log *slog.Logger

	// LogKeys lets keys appear in the log. Values never do.
	LogKeys bool

	// Observe is called once for each request, when it has been answered, from
	// the goroutine of the request. nil: nobody is told.
	Observe func(Event)

	// MaxInFlight is how many requests may be under way at once; more are
	// refused with 429 and Retry-After. Those that only wait for their client
	// to take a long value do not count. 0: no limit.
	MaxInFlight int

	// TempDir is where long values wait for their metadata. Empty:
	// [os.TempDir].
	TempDir string

	// Now tells the time. nil: time.Now.
	Now func() time.Time
}

// Event describes a request that has been answered.
type Event struct {
	// Protocol is rest or binding.
	Protocol string
	// Operation is get, metadata, put, delete, list, bulk_get, bulk_put,
	// bulk_delete, namespace_list, namespace_create, namespace_get,
	// namespace_rename, namespace_delete, account, or none if the request was
	// refused before it was known.
	Operation string
	// NamespaceID is empty if the request is about none, or none that exists.
	NamespaceID string
	// Status is the status of the response. 499: the client had gone.
	Status int
	// Duration is the time from the header of the request to the last write of
	// the response.
	Duration time.Duration
	// BytesIn and BytesOut are the lengths of the bodies, as far as they were
	// read and written.
	BytesIn, BytesOut int64
}

const defaultAccount = "00000000000000000000000000000000"

// New returns a handler. It is safe for concurrent use, and holds nothing that has
// to be closed. For messages in reason phrases, the server needs what package phrase
// says.
func New(c Config) http.Handler {
	if c.AccountID == "" {
		c.AccountID = defaultAccount
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	h := &handler{Config: c}
	h.bulks.init(maxMediumBulks, maxLargeBulks)
	h.reads.init(maxMediumReads, maxLargeReads)
	h.spools = make(places, maxSpools)
	return h
}

type handler struct {
	Config
	inFlight atomic.Int64
	bulks    sizes  // for bulk writes
	reads    sizes  // for bulk reads
	spools   places // for values that wait in a file for their metadata
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := h.inFlight.Add(1)
	x := exchanges.Get().(*exchange)
	x.begin(h, w, r)
	defer x.end()
	if h.MaxInFlight > 0 && n > int64(h.MaxInFlight) {
		w.Header()["Retry-After"] = retryAfter
		x.fail(errBusy)
		return
	}
	var err error
	if x.binding {
		err = x.serveBinding()
	} else {
		err = x.serveREST()
	}
	if err != nil {
		x.fail(err)
	}
}

// rawPath returns the path of the request as it was sent.
func rawPath(r *http.Request) string {
	if !strings.HasPrefix(r.RequestURI, "/") {
		return r.URL.EscapedPath() // the form for proxies
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}
