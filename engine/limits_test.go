package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// refusal is a call that has to fail.
type refusal struct {
	name string
	call func(a *apiTest) error
	want error
	text []string // parts of the message
}

func putRefusal(name, key string, value []byte, opts *PutOptions, want error, text ...string) refusal {
	return refusal{name, func(a *apiTest) error { return a.Put(a.ctx, key, value, opts) }, want, text}
}

// keyRefusals are those of every call that takes a key.
func keyRefusals() []refusal {
	bad := []struct {
		key  string
		want error
		text []string
	}{
		{"", ErrKeyEmpty, nil},
		{".", ErrKeyReserved, []string{`"."`}},
		{"..", ErrKeyReserved, []string{`".."`}},
		{strings.Repeat("k", 513), ErrKeyTooLong, []string{"513", "512"}},
		{strings.Repeat("é", 256) + "x", ErrKeyTooLong, []string{"513", "512"}},
		{"\xff", ErrKeyNotUTF8, []string{`"\xff"`}},
		{"a\xc3", ErrKeyNotUTF8, nil},
		{"\xed\xa0\x80", ErrKeyNotUTF8, nil}, // a surrogate
		{"\xc0\x80", ErrKeyNotUTF8, nil},     // NUL, overlong
	}
	calls := map[string]func(a *apiTest, key string) error{
		"Put":       func(a *apiTest, key string) error { return a.Put(a.ctx, key, nil, nil) },
		"PutReader": func(a *apiTest, key string) error { return a.PutReader(a.ctx, key, neverRead{a}, nil) },
		"Delete":    func(a *apiTest, key string) error { return a.Delete(a.ctx, key) },
		"Get":       func(a *apiTest, key string) error { _, err := a.Get(a.ctx, key); return err },
		"GetPair":   func(a *apiTest, key string) error { _, err := a.GetPair(a.ctx, key); return err },
		"GetReader": func(a *apiTest, key string) error { _, err := a.GetReader(a.ctx, key); return err },
		"batch put": func(a *apiTest, key string) error {
			var b Batch
			b.Put("good", []byte("new"), nil)
			b.Put(key, nil, nil)
			return a.Write(a.ctx, &b)
		},
		"batch delete": func(a *apiTest, key string) error {
			var b Batch
			b.Delete("good")
			b.Delete(key)
			return a.Write(a.ctx, &b)
		},
	}
	var refusals []refusal
	for _, k := range bad {
		for name, call := range calls {
			refusals = append(refusals, refusal{
				fmt.Sprintf("%s of key %s", name, brief(k.key)),
				func(a *apiTest) error { return call(a, k.key) }, k.want, k.text,
			})
		}
	}
	return refusals
}

// neverRead is the value of a put that has to be refused before it is read.
type neverRead struct{ a *apiTest }

func (r neverRead) Read([]byte) (int, error) {
	r.a.Error("a value was read though its key is not valid")
	return 0, io.EOF
}

func optionRefusals() []refusal {
	long := json.RawMessage(`"` + strings.Repeat("m", 1023) + `"`)
	return []refusal{
		putRefusal("metadata too large", "good", nil, &PutOptions{Metadata: long}, ErrMetadataTooLarge, "1025", "1024"),
		putRefusal("metadata not JSON", "good", nil, &PutOptions{Metadata: json.RawMessage(`{"a":`)}, ErrMetadataNotJSON),
		putRefusal("undefined", "good", nil, &PutOptions{Metadata: json.RawMessage(`undefined`)}, ErrMetadataNotJSON),
		putRefusal("two values", "good", nil, &PutOptions{Metadata: json.RawMessage(`1 2`)}, ErrMetadataNotJSON),
		putRefusal("blank metadata", "good", nil, &PutOptions{Metadata: json.RawMessage(` `)}, ErrMetadataNotJSON),
		putRefusal("metadata not UTF-8", "good", nil, &PutOptions{Metadata: json.RawMessage("\"\xff\"")}, ErrMetadataNotJSON),
		putRefusal("TTL 59 s", "good", nil, &PutOptions{TTL: 59 * time.Second}, ErrTTLTooShort, "59s", "1m0s"),
		putRefusal("TTL 1 ns", "good", nil, &PutOptions{TTL: 1}, ErrTTLTooShort, "1ns"),
		putRefusal("TTL negative", "good", nil, &PutOptions{TTL: -time.Hour}, ErrTTLTooShort, "-1h"),
		putRefusal("TTL most negative", "good", nil, &PutOptions{TTL: math.MinInt64}, ErrTTLTooShort),
		putRefusal("TTL wins", "good", nil, &PutOptions{TTL: time.Second, Expiration: epoch + 600}, ErrTTLTooShort, "1s"),
		putRefusal("expiration 59 s ahead", "good", nil, &PutOptions{Expiration: epoch + 59}, ErrExpirationTooSoon, fmt.Sprint(epoch+59), "59 s", "60 s"),
		putRefusal("expiration 1 s ahead", "good", nil, &PutOptions{Expiration: epoch + 1}, ErrExpirationTooSoon, "1 s"),
		putRefusal("expiration now", "good", nil, &PutOptions{Expiration: epoch}, ErrExpirationPast, fmt.Sprint(epoch)),
		putRefusal("expiration past", "good", nil, &PutOptions{Expiration: 1}, ErrExpirationPast, "1", fmt.Sprint(epoch)),
		putRefusal("expiration negative", "good", nil, &PutOptions{Expiration: -1}, ErrExpirationPast, "-1"),
		putRefusal("expiration most negative", "good", nil, &PutOptions{Expiration: math.MinInt64}, ErrExpirationPast),
	}
}

func sizeRefusals() []refusal {
	tooLarge := make([]byte, 25<<20+1)
	return []refusal{
		putRefusal("value too large", "good", tooLarge, nil, ErrValueTooLarge, "26214401", "26214400"),
		{"stream too large", func(a *apiTest) error {
			return a.PutReader(a.ctx, "good", io.LimitReader(zeros{}, 25<<20+1), nil)
		}, ErrValueTooLarge, []string{"26214400"}},
		{"value in a batch too large", func(a *apiTest) error {
			var b Batch
			b.Put("new", []byte("new"), nil)
			b.Put("good", tooLarge, nil)
			return a.Write(a.ctx, &b)
		}, ErrValueTooLarge, []string{"26214401", "26214400", "pair 1", `"good"`}},
		{"batch too long", func(a *apiTest) error {
			var b Batch
			for i := range 10_001 {
				b.Put(fmt.Sprint("new", i), nil, nil)
			}
			return a.Write(a.ctx, &b)
		}, ErrBatchTooLong, []string{"10001", "10000"}},
		{"batch of deletes too long", func(a *apiTest) error {
			var b Batch
			for range 10_001 {
				b.Delete("good")
			}
			return a.Write(a.ctx, &b)
		}, ErrBatchTooLong, []string{"10001", "10000"}},
		{"batch too large", func(a *apiTest) error { return a.Write(a.ctx, batchOfBytes(100_000_000)) },
			ErrBatchTooLarge, []string{"100000000"}},
		{"limit too high", func(a *apiTest) error { _, err := a.List(a.ctx, ListOptions{Limit: 1001}); return err },
			ErrListLimit, []string{"1001", "1000"}},
		{"limit negative", func(a *apiTest) error { _, err := a.List(a.ctx, ListOptions{Limit: -1}); return err },
			ErrListLimit, []string{"-1"}},
		{"prefix too long", func(a *apiTest) error {
			_, err := a.List(a.ctx, ListOptions{Prefix: strings.Repeat("p", 513)})
			return err
		}, ErrPrefixTooLong, []string{"513", "512"}},
	}
}

// batchOfBytes returns a batch with so many bytes of keys and values. The
// values share their memory.
func batchOfBytes(n int) *Batch {
	var b Batch
	value := make([]byte, 24<<20)
	for i := 0; int(b.Bytes()) < n; i++ {
		key := fmt.Sprint("new", i)
		b.Put(key, value[:min(len(value), n-int(b.Bytes())-len(key))], nil)
	}
	return &b
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestRefusals(t *testing.T) {
	a := openAPI(t, Options{})
	a.put("good", "old value", &PutOptions{Metadata: json.RawMessage(`"old"`), Expiration: epoch + 1000})
	a.put("other", "other value", nil)
	before := a.contents()
	refusals := append(append(keyRefusals(), optionRefusals()...), sizeRefusals()...)
	for _, r := range refusals {
		err := r.call(a)
		if !errors.Is(err, r.want) {
			t.Errorf("%s: %v; want %v", r.name, err, r.want)
			continue
		}
		for _, text := range r.text {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not say %q", r.name, err, text)
			}
		}
		if after := a.contents(); after != before {
			t.Fatalf("%s changed the store from\n%s\nto\n%s", r.name, before, after)
		}
	}
	a.reopen()
	if after := a.contents(); after != before {
		t.Fatalf("the store changed from\n%s\nto\n%s", before, after)
	}
}

// What is just within the limits is taken.
func TestLimitsAreInclusive(t *testing.T) {
	a := openAPI(t, Options{})
	key := strings.Repeat("k", 512)
	metadata := json.RawMessage(`"` + strings.Repeat("m", 1022) + `"`)
	a.put(key, "v", &PutOptions{Metadata: metadata, TTL: 60 * time.Second})
	a.wantMeta(key, string(metadata), epoch+60)
	a.put("ttl just under a minute", "v", &PutOptions{TTL: 59*time.Second + 1})
	a.wantMeta("ttl just under a minute", "", epoch+60)
	a.put("expiration", "v", &PutOptions{Expiration: epoch + 60})
	a.wantMeta("expiration", "", epoch+60)
	a.put("longest TTL", "v", &PutOptions{TTL: math.MaxInt64})
	a.put("latest expiration", "v", &PutOptions{Expiration: math.MaxInt64})
	a.wantMeta("latest expiration", "", math.MaxInt64)
	if page, err := a.List(a.ctx, ListOptions{Prefix: key, Limit: 1000}); err != nil || len(page.Keys) != 1 {
		t.Fatal(page, err)
	}
	if page, err := a.List(a.ctx, ListOptions{Limit: 1}); err != nil || len(page.Keys) != 1 || page.Cursor == "" {
		t.Fatal(page, err)
	}
	a.reopen()
	a.wantMeta(key, string(metadata), epoch+60)
	a.wantMeta("latest expiration", "", math.MaxInt64)
}

func TestLargestValue(t *testing.T) {
	a := openAPI(t, Options{})
	want := strings.Repeat("0123456789abcdef", 25<<20/16)
	a.put("put", want, nil)
	if err := a.PutReader(a.ctx, "stream", strings.NewReader(want), nil); err != nil {
		t.Fatal(err)
	}
	var b Batch
	b.Put("batch", []byte(want), nil)
	a.write(&b)
	for _, key := range []string{"put", "stream", "batch"} {
		if v, err := a.Get(a.ctx, key); err != nil || string(v) != want {
			t.Fatal(key, brief(string(v)), err)
		}
	}
	if u := a.Usage(); u.Keys != 3 || u.Bytes != 3*25<<20+14 {
		t.Fatalf("%+v", u)
	}
}

func TestLargestBatch(t *testing.T) {
	a := openAPI(t, Options{})
	b := batchOfBytes(99_999_999)
	if b.Bytes() != 99_999_999 {
		t.Fatal(b.Bytes())
	}
	a.write(b)
	if u := a.Usage(); u.Keys != int64(b.Len()) || u.Bytes != 99_999_999 {
		t.Fatalf("%+v", u)
	}
	b.Reset()
	for i := range 10_000 {
		b.Put(fmt.Sprint("key", i), []byte("v"), nil)
	}
	a.write(b)
	if u := a.Usage(); u.Keys != 10_004 {
		t.Fatalf("%+v", u)
	}
}

// Limits are options.
func TestOtherLimits(t *testing.T) {
	a := openAPI(t, Options{Limits: Limits{
		KeyBytes: 2000, ValueBytes: 30 << 20, MetadataBytes: 4000, MinTTL: time.Second,
		BatchPairs: 20_000, BatchBytes: 110_000_000, ListKeys: 5000,
	}})
	key := strings.Repeat("k", 2000)
	metadata := json.RawMessage(`"` + strings.Repeat("m", 3998) + `"`)
	a.put(key, "v", &PutOptions{TTL: time.Second, Metadata: metadata})
	a.wantMeta(key, string(metadata), epoch+1)
	a.put("soon", "v", &PutOptions{Expiration: epoch + 1})
	a.clock.set(epoch + 1)
	a.wantAbsent(key)
	a.wantAbsent("soon")
	if err := a.PutReader(a.ctx, "large", io.LimitReader(zeros{}, 30<<20), nil); err != nil {
		t.Fatal(err)
	}
	a.write(batchOfBytes(109_999_999))
	var b Batch
	for i := range 20_000 {
		b.Put(fmt.Sprintf("many:%05d", i), nil, nil)
	}
	a.write(&b)
	page, err := a.List(a.ctx, ListOptions{Prefix: "many:"})
	if err != nil || len(page.Keys) != 5000 {
		t.Fatal(len(page.Keys), err)
	}
	for name, err := range map[string]error{
		"2001": a.Put(a.ctx, key+"k", nil, nil),
		"4001": a.Put(a.ctx, "k", nil, &PutOptions{Metadata: append(metadata, ' ', ' ')[:4001:4001]}),
		"0s":   a.Put(a.ctx, "k", nil, &PutOptions{TTL: -1}),
		"30 MiB": func() error {
			return a.PutReader(a.ctx, "k", io.LimitReader(zeros{}, 30<<20+1), nil)
		}(),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// A store takes what its limits at the time say; what it holds stays readable
// under lower ones.
func TestLowerLimitsLater(t *testing.T) {
	a := openAPI(t, Options{Limits: Limits{KeyBytes: 600}})
	long := strings.Repeat("k", 600)
	a.put(long, "v", &PutOptions{Metadata: json.RawMessage(`"` + strings.Repeat("m", 900) + `"`)})
	a.close()
	a.opts.Limits = Limits{MetadataBytes: 10}
	a.open()
	if names := a.names(""); len(names) != 1 || names[0] != long {
		t.Fatal(names)
	}
	report, err := a.Verify(a.ctx, nil)
	if err != nil || len(report.Damage) != 0 {
		t.Fatal(report, err)
	}
}
