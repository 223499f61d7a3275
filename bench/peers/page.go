package peers

// keyIterator is what the iterators of the engines have in common. It is at a key, or
// behind all that there are.
type keyIterator interface {
	valid() bool
	key() []byte
	next()
}

// page reads up to limit keys from where an iterator is. It makes strings of them,
// as whoever passes a page on has to. The cursor is the last key of the page; see
// [begin].
func page(it keyIterator, limit int) (n int, cursor string) {
	keys := make([]string, 0, limit)
	for ; it.valid() && len(keys) < limit; it.next() {
		keys = append(keys, string(it.key()))
	}
	if it.valid() {
		cursor = keys[len(keys)-1]
	}
	return len(keys), cursor
}

// begin returns the key from which on a page is read.
func begin(prefix, cursor string) []byte {
	if cursor == "" {
		return []byte(prefix)
	}
	return append([]byte(cursor), 0)
}
