package server

import "time"

// Limits bound what clients may take. Fields that are 0 have a default.
type Limits struct {
	// Connections is how many there are at a time. For one more, that which has
	// waited longest for its next request is closed; if all are busy, it waits.
	// Default: 4,096.
	Connections int

	// HeaderTimeout is how long a client may take to send the header of a
	// request, or, on a new connection, to begin with it. Default: 10 s.
	HeaderTimeout time.Duration

	// IdleTimeout is how long a connection may wait for its next request.
	// Default: 2 minutes.
	IdleTimeout time.Duration

	// HeaderBytes is the most bytes of a header. Default: 64 KiB, which has
	// room for any key and metadata several times.
	HeaderBytes int

	// Patience is how long a client may keep the server waiting for bytes of
	// a body, or for room for bytes of an answer, beyond what BytesPerSecond
	// allows. Default: 30 s.
	Patience time.Duration

	// BytesPerSecond is how fast a client has to be. A body of any size may
	// take its time at that speed. Default: 8 KiB/s.
	BytesPerSecond int
}

func (l Limits) withDefaults() Limits {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	defInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defInt(&l.Connections, 4096)
	def(&l.HeaderTimeout, 10*time.Second)
	def(&l.IdleTimeout, 2*time.Minute)
	defInt(&l.HeaderBytes, 64<<10)
	def(&l.Patience, 30*time.Second)
	defInt(&l.BytesPerSecond, 8<<10)
	return l
}
