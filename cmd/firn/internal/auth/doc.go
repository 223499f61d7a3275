// Package auth says who gets in: it knows tokens, and what each allows.
//
// A token is drawn at random, with at least 128 bits of entropy, and shown once.
// What is kept is its SHA-256. A slow, salted hash, as passwords need it, would
// gain nothing: it makes guessing expensive, and nobody guesses 128 random bits;
// but every request would pay for it.
//
// A token is looked up by its hash. The time this takes may tell how the hash
// of what was sent compares with those that are known. That is no help: nobody
// can choose what to send so that its hash comes closer to a given one. So
// nothing here compares secrets in a time that depends on them.
//
// The file of tokens has a JSON object on each line; empty lines, and lines that
// begin with #, are skipped:
//
//	{"name":"worker","sha256":"<64 hexadecimal digits>","allow":["read","write"],"namespaces":["sessions"]}
//
// Allow lists read, write (which includes deletes) and manage, which is to list,
// create, rename and delete namespaces. Namespaces lists those that it is
// allowed for: ids, titles, or * for all. What has the form of an id, 32
// lower-case hexadecimal digits, is one; a title is that of whichever
// namespace has it at the time. Who may manage can give any title to any
// namespace, so manage is for all namespaces only. There may also be "created",
// the time in the form of RFC 3339. A token ends when its line is removed.
package auth
