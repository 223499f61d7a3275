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

// of returns where a request takes a place that has n bytes in memory, nil for one
// that needs none.
func (s *sizes) of(n int64) places {
	switch {
	case n > largeBulk:
		return s.large
	case n > mediumBulk:
		return s.medium
	}
	return nil
}

// take waits for a place among p, which the request has until it leaves, or takes
// one elsewhere. nil is no place, and changes nothing.
func (x *exchange) take(p places) error {
	if p == nil || p == x.place {
		return nil
	}
	timer := time.NewTimer(placePatience)
	defer timer.Stop()
	select {
	case p <- struct{}{}:
		x.giveBack()
		x.place = p
		return nil
	case <-timer.C:
		x.w.Header()["Retry-After"] = retryAfter
		return errBusy
	case <-x.ctx.Done():
		return x.ctx.Err()
	}
}

// giveBack gives up the place of the request, if it has one.
func (x *exchange) giveBack() {
	if x.place != nil {
		<-x.place
		x.place = nil
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
