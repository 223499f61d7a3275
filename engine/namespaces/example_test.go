package namespaces_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// A program with a namespace for each of its customers. Stores that nobody uses are
// closed after five minutes.
func Example() {
	path, err := os.MkdirTemp("", "firn-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(path)
	ctx := context.Background()

	dir := namespaces.At(path, engine.Options{})
	pool, err := dir.OpenPool(ctx, namespaces.PoolOptions{IdleTimeout: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := pool.Close(ctx); err != nil {
			log.Fatal(err)
		}
	}()

	for _, title := range []string{"babbage", "ada"} {
		ns, err := pool.Create(ctx, title)
		if err != nil {
			log.Fatal(err)
		}
		if err := greet(ctx, pool, ns.ID); err != nil {
			log.Fatal(err)
		}
	}
	ada, err := pool.Resolve(ctx, "ada") // by its title or its id
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pool.Rename(ctx, ada.ID, "lovelace"); err != nil {
		log.Fatal(err)
	}
	all, err := pool.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, ns := range all {
		fmt.Println(ns.Title)
	}

	if _, err := pool.Delete(ctx, ada.ID); err != nil {
		log.Fatal(err)
	}
	err = greet(ctx, pool, ada.ID)
	fmt.Println(errors.Is(err, namespaces.ErrNotExist))
	// Output:
	// babbage
	// lovelace
	// true
}

// greet has the store of a namespace for as long as it needs it.
func greet(ctx context.Context, pool *namespaces.Pool, id string) error {
	lease, err := pool.Acquire(ctx, id)
	if err != nil {
		return err
	}
	defer lease.Release()
	return lease.Store().Put(ctx, "greeting", []byte("hello, "+lease.Namespace().Title), nil)
}

// A write makes the default namespace, and a read before that finds nothing.
func ExamplePool_AcquireDefault() {
	path, err := os.MkdirTemp("", "firn-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(path)
	ctx := context.Background()

	pool, err := namespaces.At(path, engine.Options{}).OpenPool(ctx, namespaces.PoolOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close(ctx)

	_, err = pool.Resolve(ctx, namespaces.DefaultTitle)
	fmt.Println(errors.Is(err, namespaces.ErrNoStore))

	lease, err := pool.AcquireDefault(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer lease.Release()
	if err := lease.Store().Put(ctx, "k", []byte("v"), nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(lease.Namespace().Title)
	// Output:
	// true
	// default
}
