package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/firnkv/firn/engine"
)

// openTemporary opens a store that is removed by done.
func openTemporary() (store *engine.Store, done func()) {
	dir, err := os.MkdirTemp("", "firn-example-")
	if err != nil {
		log.Fatal(err)
	}
	store, err = engine.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	return store, func() {
		if err := store.Close(); err != nil {
			log.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "firn-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	store, err := engine.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Put(ctx, "user:1", []byte(`{"name":"Ada"}`), nil); err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	store, err = engine.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	value, err := store.Get(ctx, "user:1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", value)

	if _, err := store.Get(ctx, "user:2"); errors.Is(err, engine.ErrNotFound) {
		fmt.Println("user:2 is not there")
	}
	// Output:
	// {"name":"Ada"}
	// user:2 is not there
}

// A store that takes what Workers KV would refuse: keys of up to 2,000 bytes,
// values of up to 100 MiB, and pairs that live for a second. Writes do not wait
// for the disk; a crash loses at most about the last 200 ms of them.
func ExampleOpen_options() {
	dir, err := os.MkdirTemp("", "firn-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := engine.Open(dir, &engine.Options{
		Sync: engine.SyncEvery(200 * time.Millisecond),
		Limits: engine.Limits{
			KeyBytes:   2000,
			ValueBytes: 100 << 20,
			MinTTL:     time.Second,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	err = store.Put(context.Background(), "session", []byte("…"), &engine.PutOptions{TTL: 5 * time.Second})
	fmt.Println(err)
	// Output: <nil>
}

// A session that is gone after an hour, with metadata that a listing shows.
func ExampleStore_Put_options() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	metadata, err := json.Marshal(map[string]string{"user": "ada"})
	if err != nil {
		log.Fatal(err)
	}
	err = store.Put(ctx, "session:7f3a", []byte("…"), &engine.PutOptions{
		Metadata: metadata,
		TTL:      time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}

	pair, err := store.GetPair(ctx, "session:7f3a")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(pair.Metadata))
	left := time.Until(time.Unix(pair.Expiration, 0))
	fmt.Println("expires within the hour:", left > 59*time.Minute && left <= time.Hour)
	// Output:
	// {"user":"ada"}
	// expires within the hour: true
}

func ExampleStore_Put_refused() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	err := store.Put(ctx, strings.Repeat("k", 600), nil, nil)
	fmt.Println(errors.Is(err, engine.ErrKeyTooLong))
	fmt.Println(err)

	err = store.Put(ctx, "brief", nil, &engine.PutOptions{TTL: 5 * time.Second})
	fmt.Println(err)
	// Output:
	// true
	// key is too long: 600 bytes, the limit is 512
	// TTL is too short: 5s, the least is 1m0s
}

// Moving an amount from one account to another: after a crash, both have
// changed, or none.
func ExampleStore_Write() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	var batch engine.Batch
	batch.Put("account:ada", []byte("70"), nil)
	batch.Put("account:bob", []byte("130"), nil)
	batch.Delete("transfer:42")
	if err := store.Write(ctx, &batch); err != nil {
		log.Fatal(err)
	}
	fmt.Println("written:", batch.Len())

	batch.Reset()
	batch.Put("good", nil, nil)
	batch.Put("..", nil, nil)
	err := store.Write(ctx, &batch)
	var refused *engine.PairError
	if errors.As(err, &refused) {
		fmt.Printf("pair %d (%q) was refused: %v\n", refused.Index, refused.Key, refused.Err)
	}
	_, err = store.Get(ctx, "good")
	fmt.Println(err)
	// Output:
	// written: 3
	// pair 1 ("..") was refused: key is reserved: ".."
	// key not found
}

// Values of any size are written from a reader and read as a stream, in less
// than 1 MiB of memory.
func ExampleStore_PutReader() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	source := io.LimitReader(endless('x'), 5<<20)
	if err := store.PutReader(ctx, "blob", source, nil); err != nil {
		log.Fatal(err)
	}

	value, err := store.GetReader(ctx, "blob")
	if err != nil {
		log.Fatal(err)
	}
	defer value.Close()
	n, err := io.Copy(io.Discard, value)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(value.Info().Name, value.Len() == n, n)
	// Output: blob true 5242880
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func ExampleStore_Keys() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	for _, key := range []string{"fruit:pear", "fruit:apple", "nut:hazel", "fruit:Quince"} {
		if err := store.Put(ctx, key, nil, nil); err != nil {
			log.Fatal(err)
		}
	}
	for key, err := range store.Keys(ctx, "fruit:") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(key.Name)
	}
	// Output:
	// fruit:Quince
	// fruit:apple
	// fruit:pear
}

// Pages for a client that comes back with the cursor later. The cursor alone
// tells where to go on: nothing is kept for it in the store.
func ExampleStore_List() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	for i := range 5 {
		if err := store.Put(ctx, fmt.Sprintf("item:%d", i), nil, nil); err != nil {
			log.Fatal(err)
		}
	}
	opts := engine.ListOptions{Prefix: "item:", Limit: 2}
	for {
		page, err := store.List(ctx, opts)
		if err != nil {
			log.Fatal(err)
		}
		names := make([]string, len(page.Keys))
		for i, key := range page.Keys {
			names[i] = key.Name
		}
		fmt.Println(names)
		if page.Cursor == "" {
			break
		}
		opts.Cursor = page.Cursor
	}
	// Output:
	// [item:0 item:1]
	// [item:2 item:3]
	// [item:4]
}

func ExampleStore_Usage() {
	store, done := openTemporary()
	defer done()
	ctx := context.Background()

	for _, value := range []string{"first", "second", "third"} {
		if err := store.Put(ctx, "key", []byte(value), nil); err != nil {
			log.Fatal(err)
		}
	}
	usage := store.Usage()
	fmt.Println("live:", usage.Keys, "key,", usage.Bytes, "bytes")
	fmt.Println("overwritten:", usage.Garbage.Overwritten.Records, "records,", usage.Garbage.Overwritten.Bytes, "bytes")
	fmt.Println("on disk:", usage.DiskBytes > 0)
	// Output:
	// live: 1 key, 8 bytes
	// overwritten: 2 records, 17 bytes
	// on disk: true
}
