package index

import "testing"

// A filled index holds what one that grew by itself holds, in as little memory.
func TestFill(t *testing.T) {
	r := random(t)
	grown, filled := New(), New()
	defer grown.Close()
	defer filled.Close()
	filled.BeginFill()
	most := int64(0)
	hashes := make([]Hash, 300_000)
	for i := range hashes {
		hashes[i] = Hash{r.Uint64(), r.Uint64()}
		e := Entry{Location: Location(i), Size: int64(i % 1000)}
		if i%100_000 == 0 {
			e.Expiration = 1 // of which few tables know
		}
		grown.Put(hashes[i], e)
		filled.Put(hashes[i], e)
		most = max(most, filled.Memory())
	}
	filled.EndFill()
	for _, h := range hashes {
		want, _ := grown.Get(h)
		if got, ok := filled.Get(h); !ok || got != want {
			t.Fatalf("%+v, %v, want %+v", got, ok, want)
		}
	}
	if filled.Len() != grown.Len() {
		t.Errorf("%d entries, want %d", filled.Len(), grown.Len())
	}
	if filled.Memory() > grown.Memory()*101/100 || most > 2*grown.Memory() {
		t.Errorf("%d bytes, %d at most, and %d without", filled.Memory(), most, grown.Memory())
	}
	check(t, filled)
}
