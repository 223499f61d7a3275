package workload

import (
	"context"
	"errors"
	"fmt"

	"github.com/firnkv/firn/engine"
)

// Contents returns what the keys of each writer hold, after looking at them in
// several ways. Nobody may write to the store meanwhile, and its clock has to
// stand still.
func Contents(ctx context.Context, store *engine.Store, writers int) ([]map[string]State, error) {
	all := make([]map[string]State, writers)
	usage := store.Usage()
	for w := range writers {
		states, err := contents(ctx, store, w)
		if err != nil {
			return nil, err
		}
		all[w] = states
		for _, s := range states {
			usage.Keys--
			usage.Bytes -= s.Bytes
		}
	}
	if usage.Keys != 0 || usage.Bytes != 0 {
		return nil, fmt.Errorf("usage says %d keys and %d bytes more than the pairs are", usage.Keys, usage.Bytes)
	}
	return all, nil
}

func contents(ctx context.Context, store *engine.Store, writer int) (map[string]State, error) {
	states := map[string]State{}
	for info, err := range store.Keys(ctx, Prefix(writer)) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		s, err := Look(ctx, store, info.Name, len(states)%3 == 0)
		if err != nil {
			return nil, err
		}
		if !s.Exists || s.Expiration != info.Expiration || s.Metadata != string(info.Metadata) {
			return nil, fmt.Errorf("list has %+v, get finds %v", info, s)
		}
		states[info.Name] = s
	}
	for _, key := range Keys(writer) {
		if states[key].Exists {
			continue
		}
		s, err := Look(ctx, store, key, false)
		if err != nil {
			return nil, err
		}
		if s.Exists {
			return nil, fmt.Errorf("list has no %.60q, get finds %v", key, s)
		}
	}
	return states, nil
}

// Look reads a key: as a stream, or at once.
func Look(ctx context.Context, store *engine.Store, key string, stream bool) (State, error) {
	var s State
	var err error
	if stream {
		s, err = lookStream(ctx, store, key)
	} else {
		var p *engine.Pair
		if p, err = store.GetPair(ctx, key); err == nil {
			s = PairState(p)
		}
	}
	if errors.Is(err, engine.ErrNotFound) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("get %.60q: %w", key, err)
	}
	return s, nil
}

func lookStream(ctx context.Context, store *engine.Store, key string) (State, error) {
	r, err := store.GetReader(ctx, key)
	if err != nil {
		return State{}, err
	}
	defer r.Close()
	return StreamState(r, r)
}

// Verify has the store check itself.
func Verify(ctx context.Context, store *engine.Store) error {
	report, err := store.Verify(ctx, nil)
	if err == nil && len(report.Damage) > 0 {
		err = report.Damage[0]
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}
