// Package engine is an embeddable key-value store on log-structured, compressed
// segment files, with the meaning of Workers KV: pairs of a string key and a
// value of bytes, with optional metadata and expiration, listed in the order of
// their keys.
//
//	store, err := engine.Open("data", nil)
//	err = store.Put(ctx, "user:1", []byte(`{"name":"Ada"}`), nil)
//	value, err := store.Get(ctx, "user:1")
//	for key, err := range store.Keys(ctx, "user:") { … }
//	err = store.Close()
//
// # What is promised
//
// With [SyncAlways], the default, a write that returned nil is on disk: it
// survives a kill of the process and a loss of power at any instant. With
// [SyncEvery] and [SyncNever] it is in memory, and visible; a crash loses the
// last writes, but what is left is a prefix of what was written. In every mode,
// [Store.Sync] and [Store.Close] make everything durable that was acknowledged
// before.
//
//   - After a crash the store holds a prefix of the acknowledged writes, possibly
//     followed by writes that were not acknowledged. Each [Batch] is there as a
//     whole or not at all.
//   - A version that was overwritten, deleted or has expired never comes back.
//   - A read returns bytes whose checksum was verified, of the key that was asked
//     for, or an error. Damage is never repaired silently, nor skipped: errors
//     name the file and the offset ([CorruptError]).
//   - A write that fails changes nothing that others can see. If it fails because
//     the disk is full ([ErrNoSpace]), writes work again when there is room.
//   - A failed sync is final: the kernel may have dropped the pages, and a second
//     sync that succeeds says nothing. The store turns read-only, and every
//     writer is told ([ErrReadOnly]). Opening it again recovers what is on disk.
//
// This assumes that a disk which reported a sync keeps the data, that a sector of
// 512 bytes is written as a whole, and that a rename replaces a file as a whole.
// It does not assume any order among writes between two syncs. On macOS, syncs
// are F_FULLFSYNC; on Windows, directories cannot be synced, so a file that was
// just created may be missing after a loss of power. Only Linux is tested.
//
// # Concurrency
//
// All methods of [Store] are safe for concurrent use. Writes take effect one
// after the other, in the order of their sequence numbers; a read sees every
// write that was acknowledged before it began. To readers of several keys, a
// batch is not one instant. One Store at a time may have a directory open for
// writing.
//
// # Files
//
// A store is a directory:
//
//	LOCK            locked while the store is open
//	MANIFEST        which segments belong to the store, and their state
//	000001.seg …    segments; package segment has their format
//	CHECKPOINT      the index as it was; can be made again
//	BACKUP          only in a backup that was never opened for writing
//	BALLAST         1 MiB of nothing, in stores of more than 32 MiB
//
// Writes go to the active log segment, values of 32 KiB and more to a value
// segment beside it. A log segment that is full is frozen: it is on disk as a
// whole before the next takes a frame. Then it is sealed: a footer with its
// sorted keys is appended, and from then on it is never modified. A value segment
// is sealed, without a footer, when it is full, or for a backup. Names and ids are
// never used twice.
//
// # Backups
//
// [Store.Backup] makes a directory that is a store: the snapshot of this one at an
// instant when it is opened read-only, and a store of its own from the first time
// that it is opened for writing. Sealed segments are shared as hard links, all else
// is copied, so no file that anybody modifies is shared. The checkpoint is left out.
// The next backup into the same directory takes what is new since; the manifest
// there is replaced last, so a crash leaves the one before.
//
// # Compaction
//
// Compaction runs by itself, one job at a time, from Open to Close; package
// compaction has its rules. It rewrites segments: what lives goes to new ones, what
// was overwritten, deleted or has expired goes away.
//
//   - Segments in which nothing lives go at once, without copying anything but
//     tombstones that are still needed.
//   - What was written is packed, sorted by key, a second after the last write, when
//     it is ten minutes old, or when some log segments have gathered. A log segment
//     that is not full waits for that until it holds 1 MiB.
//   - Pairs that expire are packed by when they do, so that their segments die whole:
//     their space comes back at most an eighth of their lifetime late, or 64 s, but
//     what is less than half a MiB goes with its neighbours.
//   - Other segments are rewritten when garbage takes more than it may. The live
//     chunks of large values are copied as they are stored.
//
// Disk use is at most [Options.SpaceTarget] times what the live pairs take packed
// when the store is at rest, beside 1 MiB of garbage that any store may hold and
// what expires within ten minutes. Under writes, garbage may take one and a half
// times as much of the disk as the target allows. At 1.7 times, writers are delayed,
// smoothly more up to 2.3 times; no write waits longer than 10 ms for that. A store
// of some MiB is not delayed. Compaction gives its turn to others every 50 µs, and
// unless space is short it rests as long as it works while others are at work.
//
// A job writes before it frees. It leaves 4 MiB of the disk free, or a fiftieth of
// the store if that is more; on a disk with less than that only segments in which
// nothing lives go.
//
// A tombstone, or an expired pair, may be dropped when no other segment has an older
// version of its key. Segments whose oldest sequence number is not below that of the
// tombstone cannot have one. The others are asked by the filter in their footers, and
// where the filter says that they may, the footer itself is searched. What is still
// needed is kept as a tombstone. So nothing that was deleted comes back, in whatever
// order segments are rewritten.
//
// New segments count, and old ones cease to, by one edit of the manifest, after all
// that was written is on disk. What reads an old segment keeps its file. A version
// that is written or deleted while an older one is copied wins.
//
// [Store.Compact] is for those who want everything packed and all garbage gone now,
// before a backup, say. [Store.PauseCompaction] is for minutes in which nothing else
// may use the disk. [Options.ManualCompaction] is for programs that call Compact at
// times of their own; without that, space never comes back. [Store.CompactionStats]
// says what is done and was done, and why.
//
// # A full disk
//
// On a full disk puts fail with [ErrNoSpace]. Deletes go on, and so does what
// makes room: a store of more than 32 MiB gives its ballast up for them, which
// lasts for some 10,000 deletes one by one, or several times that in batches.
// Until there is room for it again, and as much beside it, all puts are refused.
// Then they work again, and the ballast is back; the store need not be opened
// again for that.
//
// So that it hardly comes to that, such a store also refuses puts while so little is
// free that compaction could not write a segment: 4 MiB, or a fiftieth of the store,
// and a sixteenth of the store, but 4 to 64 MiB. What was deleted or overwritten then
// still makes room.
//
// With [SyncEvery] and [SyncNever], puts are refused a little earlier: a put is
// accepted only if the disk has room for all that waits in memory. If other
// programs take that room, it is written when they give it back; writes fail
// until then.
//
// Where a file system cannot set space aside (on macOS, and where it compresses or
// shares blocks), the ballast may be worth nothing, and deletes may fail as well.
//
// # Opening
//
// A checkpoint is the index as it was, at some 18 bytes a key. It is written at
// [Store.Close] and, unless [Options.ManualCompaction] is set or the disk is nearly
// full, by the compactor: after 8 MiB of new segments when nobody has written for
// two seconds, and after 64 MiB otherwise; or after one or four times its own size, if
// that is more. The one before it stays until the new one is whole. A shard of the
// index is saved at a time, which takes 25 ns a key: writes to that shard wait.
//
// Opening reads it, and then what is newer: after a Close, at most 1 MiB of segments or
// an eighth of the checkpoint's size, and otherwise the footers of newer segments, and
// the log segments that have no footer yet. Where there are large values, it also
// reads the footers with records of them, and takes some 60 bytes for each until it is
// done. Without a checkpoint, it merges all footers: some 0.5 µs a key.
//
// At the end of the log, a torn write is told from damage. Each frame says how
// far the log was durable when it was written. A bad place that no frame behind
// it vouches for was never acknowledged as durable: the log is cut there, and
// what lies behind can never count again. A bad place that is vouched for was
// acknowledged: Open returns an error that matches [ErrCorrupt] and leaves
// everything as it is.
//
// # Damage
//
// Every byte that leads to a pair is under a checksum: of a frame, of the header of
// a file, of an edit of the manifest. The checksum of a frame also covers the file
// and the place where it stands, so that a frame in the wrong place is none. Reads
// verify what they read, and say which file is damaged where ([CorruptError]); the
// other pairs can still be read. [Store.Verify] reads everything, in a store in use
// at a limited rate if it is asked to, and lists all damage.
//
// What can be derived is not needed: a damaged checkpoint or filter is done without,
// or reported, and a store whose manifest or footers are damaged is refused by Open.
// [Salvage] goes by the frames alone. It copies what can be read of a damaged store
// to a new one, and reports every pair that is lost and every range of bytes that
// holds nothing any more. Nothing is repaired in place.
//
// Two things cannot be noticed. The last commit of a log that was not closed, when
// it is damaged, looks like one that a crash interrupted. And who replaces all files
// of a store by older copies of them has an older store.
//
// # Memory
//
// The index takes 24 to 25 bytes a key at ten million keys, whatever the length
// of the keys (package index). To this come the cache ([Options.CacheBytes]), up
// to 32 MiB for the keys of each log segment that has no footer yet, up to 24 MiB
// of frames that wait to be written when writers do not wait for the disk, and
// less than 1 MiB for each value that is being streamed. Compaction takes up to
// 32 MiB for records that it reads ahead, the sparse indexes and filters of the
// footers that it looks into, and the keys of what it may drop as deleted or expired
// in one job. Values are not kept elsewhere.
//
// On 64-bit Linux, the records of packed segments are read from a mapping of the
// file. What was read counts as memory of the process (RssFile in /proc), but it is
// the system's cache of the file, which it takes back when it needs the memory.
//
// # Time
//
// Expirations are whole seconds; a pair is gone from its second on, for reads,
// listings and [Store.Usage]. The store's time never runs backwards: it goes on
// from the highest second that was recorded with a commit or at closing.
package engine
