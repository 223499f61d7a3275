// Package index is the in-memory hash index of a store: it maps a keyed hash of a key to where the key's record is, how
// large it is and when it expires. It keeps no keys and knows nothing about files.
//
// # Identity
//
// A key is known by 120 bits of SipHash-2-4 under a secret key of the store (Hasher): 8 bits pick a shard, the other 112
// stand in the entry. Two of 10^9 keys, which make 2^59 pairs, are taken for one with odds of 2^-61. Who does not know
// the secret cannot do better than chance: SipHash is made to be a pseudorandom function, like a block cipher. AES-128 in
// CBC-MAC mode, by crypto/aes, takes 55 ns for a key of 17 bytes and 300 for one of 200, SipHash 23 and 89.
//
// # Memory
//
// An entry is 22 bytes without pointers:
//
//	8  fingerprint, high bits
//	5  fingerprint, low bits, without
//	1  tag, the lowest of them
//	8  location, 50 bits, and size, 14 bits
//
// Entries live in tables of at most 4,096. A table is a hash table with ordered linear probing (Amble and Knuth, 1974):
// entries are sorted by fingerprint and the position at which a search begins rises with the fingerprint. Tables are 0.88 to 0.93 full,
// less below 2,000 entries. They grow by one page of 4 KiB at a time inside a region of address space reserved for
// their full size, so growing leaves no garbage behind; a full table splits in two. A shard finds the table by the
// leading bits of the fingerprint (extendible hashing). The longest pause is thus the rebuild of one table, some 60 µs.
// At ten million keys the process spends 24 to 25 bytes a key.
//
// The tags of a table stand together, behind the rest of its entries, and a search looks at them first: at those of the
// entries between which the key's would be. A slot is read when its tag is right. So an absent key reads from one byte a
// key, which the processor's caches hold at a million keys, and not from the 21 times as many of the slots. Compared
// with a search in the slots:
//
//	                 1,000,000 keys   10,000,000 keys
//	absent keys      140 → 50 ns      245 → 150 ns
//	keys that exist  175 → 150 ns     300 → 360 ns
//
// Tables that hold a record which expires carry a second column of 4 bytes a slot: 29 to 31 bytes a key then. Sizes
// that do not fit 14 bits stand in a map of the shard, at some 65 bytes for such a record, which is itself at least
// 16 KiB large.
//
// Tables below one page are ordinary Go memory and everything is made when first needed, so a store of one key costs
// some 3 KiB. The regions are mapped memory which the garbage collector does not see; Index.Close gives it back.
//
// # Expiration
//
// Index.Totals counts expired entries exactly at every second. Entries that expire within the hour are counted by
// second; those beyond it are found by a sweep of the expiration columns that fills each stretch of time before it
// begins. The sweep is spread over the calls of Totals. An expired entry stays in the index until its owner deletes it.
package index
