package dataset

import "fmt"

// MetadataBytes is the length of all metadata.
const MetadataBytes = len(`{"owner":"0123abcd","access":"public","pages":100}`)

// Metadata returns the metadata of the key with index i: a JSON object, which
// compresses as well as those of a listing with an owner and some facts do.
func (d *Data) Metadata(i int) []byte {
	x := Mix(uint64(i))
	access := []string{"public", "shared", "hidden", "locked"}[x>>32%4]
	return fmt.Appendf(nil, `{"owner":"%08x","access":"%s","pages":%d}`, uint32(x), access, 100+x>>34%900)
}
