package engine

import (
	"log/slog"
	"time"

	"github.com/firnkv/firn/engine/internal/vfs"
)

// Options says how to open a store. The zero value, like a nil *Options, is
// ready for use.
type Options struct {
	// ReadOnly opens the store for reading. Nothing in the directory is
	// changed; the store has to exist. Several read-only opens may share a
	// directory, but not with a writer.
	ReadOnly bool

	// Sync says when a write is on disk. Default: SyncAlways.
	Sync SyncMode

	// CacheBytes is the memory for decoded records. 0: 64 MiB; negative: no
	// cache. Once it is full, a record may have to be read twice to get in.
	CacheBytes int64

	// SegmentBytes is the size at which the log goes on in a new segment, and
	// the most that compaction rewrites at a time. 0: a 16th of what the
	// store takes on disk, at least 4 MiB and at most 64 MiB. Otherwise at
	// least 64 KiB, at most 96 MiB. Smaller segments mean more files and
	// more memory, larger ones slower recovery after a crash, and more disk
	// space while one is rewritten.
	SegmentBytes int64

	// SpaceTarget is the disk use that compaction keeps to when the store is
	// not written to, as a multiple of what the live pairs take when they are
	// packed. Under load it may be exceeded by two and a half times what is
	// above 1; then writers are slowed down. 0: 1.3; at least 1.1. The lower it
	// is, the more often records are rewritten.
	SpaceTarget float64

	// ManualCompaction leaves compaction to [Store.Compact]. Until that is
	// called, what is overwritten, deleted or expired stays on disk, and
	// what is only written is read slowly.
	ManualCompaction bool

	// Limits on keys, values, metadata, expirations and batches. Fields that
	// are 0 have the limits of Workers KV.
	Limits Limits

	// Clock tells the time. nil: time.Now. The store looks at whole seconds,
	// and never goes back to an earlier one. It is called often, and
	// concurrently.
	Clock func() time.Time

	// Logger receives what a careful operator wants to know: recovery, cuts,
	// read-only mode. nil: slog.Default().
	Logger *slog.Logger

	// AllowClockBehind opens a store that recorded a time more than a day
	// ahead of the clock, which is otherwise refused with [ErrClock]:
	// everything in it would wait for the clock to catch up before it
	// expires.
	AllowClockBehind bool

	ballastFrom int64 // bytes of segments from which on there is a ballast; 0: 32 MiB

	fs vfs.FS // nil: the operating system's; tests put others here
}

// SyncMode says when a write is on disk; see [SyncAlways], [SyncEvery] and
// [SyncNever].
type SyncMode struct {
	every time.Duration // 0: always; negative: never
}

var (
	// SyncAlways makes a write return when it is on disk. Concurrent writers
	// share one sync (group commit).
	SyncAlways = SyncMode{}

	// SyncNever makes a write return when it is in memory and leaves the
	// disk to the operating system. A crash of the process loses some
	// milliseconds of writes, a crash of the machine about half a minute;
	// what is left is a prefix of what was written.
	SyncNever = SyncMode{every: -1}
)

// SyncEvery makes a write return when it is in memory; it is on disk within
// about d. d has to be positive.
func SyncEvery(d time.Duration) SyncMode {
	return SyncMode{every: max(d, time.Millisecond)}
}

// Limits bounds what a store takes. A field that is out of its own range counts
// as the end of the range that is closer. Keys are checked in reads and deletes
// too: a store that is opened with a lower KeyBytes lists its longer keys, but
// gives access to them only under the old limit.
type Limits struct {
	// KeyBytes is the most bytes of a key. 0: 512; at most 32,767.
	KeyBytes int
	// ValueBytes is the most bytes of a value. 0: 25 MiB; at most 256 MiB.
	ValueBytes int64
	// MetadataBytes is the most bytes of the JSON of a metadata value.
	// 0: 1,024; at most 32,767.
	MetadataBytes int
	// MinTTL is how far ahead an expiration has to be. 0: 60 s; at least
	// 1 s.
	MinTTL time.Duration
	// BatchPairs is the most pairs in a batch. 0: 10,000; at most 1,000,000.
	BatchPairs int
	// BatchBytes is what keys, values and metadata of a batch have to stay
	// under together. 0: 100,000,000; at most 128 MiB.
	BatchBytes int64
	// ListKeys is the most keys on a page of [Store.List], and the default.
	// 0: 1,000; at most 100,000.
	ListKeys int
}

const (
	defaultCacheBytes  = 64 << 20
	defaultSpaceTarget = 1.3
	minSpaceTarget     = 1.1
	minSegmentBytes    = 64 << 10
	maxSegmentBytes    = 96 << 20
)

func (o *Options) withDefaults() Options {
	var v Options
	if o != nil {
		v = *o
	}
	if v.CacheBytes == 0 {
		v.CacheBytes = defaultCacheBytes
	}
	v.SegmentBytes = bounded(v.SegmentBytes, 0, minSegmentBytes, maxSegmentBytes)
	v.SpaceTarget = max(v.SpaceTarget, minSpaceTarget)
	if o == nil || o.SpaceTarget == 0 {
		v.SpaceTarget = defaultSpaceTarget
	}
	if v.Clock == nil {
		v.Clock = time.Now
	}
	if v.Logger == nil {
		v.Logger = slog.Default()
	}
	if v.ballastFrom == 0 {
		v.ballastFrom = defaultBallastFrom
	}
	if v.fs == nil {
		v.fs = vfs.OS
	}
	v.Limits = v.Limits.withDefaults()
	return v
}

func (l Limits) withDefaults() Limits {
	return Limits{
		KeyBytes:      bounded(l.KeyBytes, 512, 1, 1<<15-1),
		ValueBytes:    bounded(l.ValueBytes, 25<<20, 1, 256<<20),
		MetadataBytes: bounded(l.MetadataBytes, 1024, 1, 1<<15-1),
		MinTTL:        bounded(l.MinTTL, time.Minute, time.Second, 1<<62),
		BatchPairs:    bounded(l.BatchPairs, 10_000, 1, 1_000_000),
		BatchBytes:    bounded(l.BatchBytes, 100_000_000, 1, 128<<20),
		ListKeys:      bounded(l.ListKeys, 1000, 1, 100_000),
	}
}

// bounded returns v, or def if v is 0, brought into [low, high].
func bounded[T int | int64 | time.Duration](v, def, low, high T) T {
	if v == 0 {
		return def
	}
	return min(max(v, low), high)
}
