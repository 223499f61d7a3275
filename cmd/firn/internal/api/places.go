package api

import (
	"net/http"
	"time"
)

// What is in memory, or on disk, for requests that are under way is bounded by
// places, which requests take when they turn out to be large. Others wait for a
// place, but not for longer than placePatience, and who has one has to be fast.
const (
	mediumBulk = 64 << 10 // bytes from which on a bulk read or write takes a place
	largeBulk  = 1 << 20  // and from which on one of those that are fewer

	maxMediumBulks, maxLargeBulks = 64, 4 // a write is up to 100 MB, and twice that in memory
	maxMediumReads, maxLargeReads = 64, 16
	maxSpools                     = 32 // of 25 MiB at most each

	placePatience = 30 * time.Second

	// hurryPace is how many bytes a second the client of a request that has a
	// place has to send, or to take, after hurryGrace.
	hurryPace  = 256 << 10
	hurryGrace = 10 * time.Second
)

// places is as many places as it has room for.
type places chan struct{}

// sizes is places for requests by their size.
type sizes struct{ medium, large places }

func (s *sizes) init(medium, large int) {
	s.medium, s.large = make(places, medium), make(places, large)
}

// await waits until the request may have n bytes in memory, and reports whether it
// has a place now that it did not have.
func (x *exchange) await(s *sizes, n int64) (bool, error) {
	switch {
	case n > largeBulk && len(x.held) < 2:
		if err := x.take(s.medium); err != nil { // unless it went by this size
			return false, err
		}
		return true, x.take(s.large)
	case n > mediumBulk && len(x.held) < 1:
		return true, x.take(s.medium)
	}
	return false, nil
}

// take waits for a place, which the request has until it leaves. It does nothing if
// it has one.
func (x *exchange) take(p places) error {
	for _, has := range x.held {
		if has == p {
			return nil
		}
	}
	timer := time.NewTimer(placePatience)
	defer timer.Stop()
	select {
	case p <- struct{}{}:
		x.held = append(x.held, p)
		return nil
	case <-timer.C:
		x.w.Header()["Retry-After"] = retryAfter
		return errBusy
	case <-x.ctx.Done():
		return x.ctx.Err()
	}
}

// hurryAnswer has the client take the answer fast, where the server can do that.
func (x *exchange) hurryAnswer() {
	for w := x.w; ; {
		if h, ok := w.(interface{ Hurry(int, time.Duration) }); ok {
			h.Hurry(hurryPace, hurryGrace)
			return
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = wrapper.Unwrap()
	}
}
