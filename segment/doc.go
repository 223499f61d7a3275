// Package segment defines the file format of the store and reads and writes
// it. This comment is the whole specification: it is enough to write a reader
// in another language.
//
// All integers are little-endian. A uvarint is the base-128 encoding of
// encoding/binary, at most 10 bytes. XXH64(seed, bytes) is xxHash64.
//
// # Segment
//
// A segment is one append-only file of at most 536,870,912 bytes ([MaxSize]):
//
//	+-------------+-------+-------+-----+-------------------------+
//	| file header | frame | frame | ... | footer (once sealed)    |
//	+-------------+-------+-------+-----+-------------------------+
//
// The same format serves three kinds:
//
//   - A log segment takes fresh writes. Its frames hold many records each and
//     are extended (see below): they say how far the log was durable when they
//     were written.
//   - A packed segment comes out of compaction, sorted by key. It has either one
//     record a frame, compressed with a dictionary that the segment carries, or
//     several: as cheap to write as a log, and slower to read at random.
//   - A value segment holds large values: chunk frames, then a record frame
//     that lists them. It never has a footer: the store's manifest alone says
//     that it is sealed, and takes no more values. The records in log and packed
//     segments that point into it are its directory, and they alone make a value
//     committed.
//
// # File header
//
//	offset size
//	     0    8  magic "FIRNSEG\n"
//	     8    4  format version, 1
//	    12    1  kind: 1 log, 2 packed, 3 value
//	    13    3  zero
//	    16   16  id of the store
//	    32    8  id of the segment, never reused in a store
//	    40    8  salt, random and secret
//	    48    8  zero
//	    56    8  XXH64(0, bytes 0 to 55)
//
// The salt is also listed in the store's manifest, so a segment that was
// swapped in from a copy of the store is noticed. It must not become known to
// those who choose keys and values: checksums seeded with it are what keeps a
// frame forged inside a value from ever being taken for a frame.
//
// # Frame
//
// A frame is the unit of checksum and of compression. It starts at a multiple
// of 8 bytes and is padded with zeros to the next.
//
//	offset size
//	     0    8  checksum: XXH64(seed, bytes 8 to the end of the payload)
//	     8    8  word:
//	               bits  0-19  stored length: bytes of the payload in the file
//	               bits 20-39  raw length: bytes of the payload decompressed
//	               bits 40-43  type, 1 to 8
//	               bits 44-45  codec: 0 raw, 1 zstd, 2 zstd with dictionary
//	               bit     46  more: the next frame belongs to the same commit
//	               bit     47  extended
//	               bits 48-63  header check: low 16 bits of XXH64(seed+1, the
//	                           8 bytes of the word with these bits zero, and
//	                           the extension)
//	    16   16  extension, only in extended frames (log segments):
//	               u32  incarnation of the log, at least 1
//	               u32  durable mark, in units of 8 bytes: the log was on disk
//	                    up to this offset when the frame was written
//	               u48  time of the commit, in seconds since the Unix epoch
//	               u16  number of records
//	16 / 32      payload
//
// seed is salt XOR (incarnation << 32 | offset of the frame / 8); the
// incarnation of a frame that is not extended is 0. So a frame that is misplaced
// or from another segment never verifies. Incarnations only rise along a log:
// an extended frame of a lower one than that of a frame before it is stale, left
// behind the place where recovery once cut the log, and does not count.
//
// The checksum guards header and payload. The header check only makes a search
// for frames after damage cheap: a wrong header passes it once in 65,536
// positions, and then at most 128 KiB are read to find the checksum wrong.
//
// The raw length is at most 131,072 ([MaxRaw]). A payload that hardly shrinks
// may be stored raw, with both lengths equal. A compressed payload is one zstd
// block without its frame and block headers, which would repeat what the frame
// says: a stored length of 1 is an RLE block, every other a compressed block
// (RFC 8878, 3.1.1.2). To decode it with a zstd library, put before it
//
//	28 B5 2F FD, A0, u32 raw length, u24 block header          codec 1
//	28 B5 2F FD, A1, 01, u32 raw length, u24 block header      codec 2
//
// where block header is 1 | type<<1 | size<<3, with type 1 and size = raw
// length for RLE, type 2 and size = stored length otherwise. With codec 2 the
// dictionary is that of the segment, whose id is always 1.
//
// Frame types:
//
//	1 records     1 to 256 records, one after the other
//	2 chunk       a piece of a large value: bytes of the value, 131,072 in all
//	              pieces but the last, which has 1 to 131,072
//	3 dictionary  a zstd dictionary (RFC 8878, section 5) for the frames behind
//	              it, never compressed with one; first frame of a packed
//	              segment, or absent
//	4 keys        footer: a block of entries sorted by key
//	5 metadata    footer: the metadata of one block of entries
//	6 sparse      footer: first key and place of each block
//	7 filter      footer: filter of key hashes
//	8 footer      footer: totals, and where the sparse index and filter are
//
// Frames of log segments other than those of the footer are extended; no others
// are. What follows the frames of a log that is not sealed is the end of the
// file, zeros (space allocated ahead of need), or what a crash left.
//
// # Commits
//
// The frames of one commit of a log segment follow each other, all but the last
// marked more. They apply together or not at all: batches are atomic that way.
//
// # Record
//
//	u8       flags: 1 tombstone, 2 has expiration, 4 has metadata,
//	                8 value is in a value segment (only in log and packed
//	                segments), 16 value is in chunks (only in value segments)
//	uvarint  sequence number
//	uvarint  length of the key
//	uvarint  expiration in Unix seconds, if flag 2
//	uvarint  length of the metadata, if flag 4
//	uvarint  length of the value, unless flag 1
//	bytes    key, metadata
//	bytes    value; or with flag 8: uvarint segment id, uvarint offset / 8 of
//	         the record frame there, whose first record it is; or with flag
//	         16: uvarint number of chunks, and for each uvarint gap / 8 from
//	         the end of the frame, padding included, of the chunk before it
//	         (the first: from the start of the file), uvarint stored length
//
// Other bits of the flags are zero. A tombstone has no other flag, and flags 8
// and 16 exclude each other. A key has 1 to 32,767 bytes, metadata at most
// 32,767, a value without flag 8 or 16 at most 65,535; sequence numbers and
// segment ids have 64 bits, all else 63. The length of the value is the whole
// length, also with flag 8 or 16.
//
// Sequence numbers are store-wide and never reused. The highest one for a key
// is the truth, whatever segment it is in; equal ones (left by a crash between
// a rewrite and the removal of its source) are settled by the higher segment
// id. In a value segment, the sequence number is only a lower bound: the record
// that points there has the real one.
//
// # Footer
//
// A sealed log or packed segment has key blocks, each followed by its metadata
// block (if one of its entries has metadata), sparse frames, filter frames, the
// footer frame and a trailer, in this order; but sparse frames that are full
// stand between the blocks. In a log segment they all stand behind the records;
// in a packed segment, blocks and sparse frames stand between the records, so
// that writing it needs no memory for them. Only the blocks, and the sparse and
// filter frames, that the footer frame leads to count. Of several versions of a
// key in the segment, the footer lists the newest.
//
// Keys frame, entries in byte order of their keys, each key once:
//
//	uvarint  length of the longest prefix shared with the key of the entry
//	         before it (0 for the first)
//	uvarint  length of the rest of the key, and its bytes
//	u8       flags 1 to 8 as in the record; 16 what older segments hold of the
//	         key was deleted rather than overwritten: in a log segment, the
//	         oldest version of the key is a tombstone
//	uvarint  sequence number less the least of the segment
//	uvarint  expiration, if flag 2
//	uvarint  length of the metadata, if flag 4
//	uvarint  length of the value, unless flag 1
//	varint   (offset of the frame less that of the entry before it) / 8, zigzag
//	         (the first: less 0)
//	u8       ordinal of the record in the frame
//	uvarint  segment id, uvarint offset / 8, if flag 8
//
// Metadata frame: the metadata of the block's entries with flag 4, in order,
// one after the other.
//
// Sparse frame: for each block, in the order of their keys, which is also that of
// their places
//
//	uvarint  length of its first key, and its bytes
//	uvarint  offset of the keys frame / 8
//	uvarint  size of the keys frame / 8
//	uvarint  size of the metadata frame / 8, 0 if there is none; it follows the
//	         keys frame
//
// Filter frames: the bytes of one binary fuse filter (package
// segment/internal/fuse has its layout) over XXH64(0, key) of every key in the
// segment, cut in pieces of 131,072 bytes. They are stored raw. A reader that
// looks keys up in the keys frames does not need it.
//
// Footer frame, all uvarint:
//
//	end of the last records frame / 8 (without any: where the first would be)
//	puts whose value is in the segment (all versions), tombstones, puts whose
//	  value is in a value segment, bytes of the first (key, metadata, value)
//	least and highest sequence number, highest time of a commit
//	second in which the last put expires (0: never, or there is no put)
//	most records in a frame
//	entries in the keys frames, bytes of their metadata
//	number of superseded groups; for each: id of the segment that holds the
//	  values (0: this one), overwritten records and bytes, deleted records and
//	  bytes; these are the versions that a newer one in this segment replaced
//	number of sparse frames; for each offset / 8 and size / 8, in rising order
//	number of filter frames; for each offset / 8 and size / 8, in rising order
//
// Sizes of frames include header and padding. The least sequence number may be
// lower than that of any record; those in keys frames count from it.
//
// Trailer, the last 16 bytes of the file:
//
//	u64  offset of the footer frame
//	u64  XXH64(salt, the 8 bytes before)
package segment
