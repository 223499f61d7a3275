package command

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/source"
	"github.com/firnkv/firn/cmd/firn/internal/wire"
	"github.com/firnkv/firn/engine"
	"github.com/spf13/cobra"
)

type keyPut struct {
	*app
	path       string
	ttl        int64
	expiration int64
	metadata   string
}

func newKeyPut(a *app) *cobra.Command {
	put := keyPut{app: a}
	cmd := &cobra.Command{
		Use:   "put KEY [VALUE]",
		Short: "Write one pair",
		Long: `put writes one pair. The value is the argument, or what --path names, streamed.
Metadata and expiration that the key had before are replaced too.`,
		Example: `  firn kv key put greeting "hello, world" --ttl 3600
  firn kv key put logo --path logo.png --metadata '{"type":"image/png"}'
  sort words.txt | firn kv key put words --path -
  firn kv key put -- -key -value`,
		Args: positional([]string{"KEY"}, "VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := put.options(cmd)
			if err != nil {
				return err
			}
			hasPath := cmd.Flags().Changed("path")
			switch {
			case hasPath && len(args) == 2:
				return usage(cmd, "the value is given twice: as an argument and with --path")
			case hasPath:
				return put.fromPath(cmd.Context(), args[0], opts)
			case len(args) < 2:
				return usage(cmd, `VALUE is missing: give it as an argument, or with --path (where "-" stands for standard input)`)
			}
			return put.value(cmd.Context(), args[0], args[1], opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&put.path, "path", "", "take the value from `FILE`; \"-\" stands for standard input")
	flags.Int64Var(&put.ttl, "ttl", 0, "let the pair expire in so many `seconds`, 60 or more")
	flags.Int64Var(&put.expiration, "expiration", 0, "let the pair expire at this `time`, in seconds since the Unix epoch; --ttl wins over it")
	flags.StringVar(&put.metadata, "metadata", "", "`JSON` value that belongs to the key, at most 1,024 bytes")
	return cmd
}

// options checks only what the store could not tell from an absent flag, or
// not represent.
func (p *keyPut) options(cmd *cobra.Command) (*engine.PutOptions, error) {
	const maxTTL = math.MaxInt64 / int64(time.Second)
	switch {
	case cmd.Flags().Changed("ttl") && (p.ttl <= 0 || p.ttl > maxTTL):
		return nil, usage(cmd, "--ttl %d is out of range: it is a number of seconds from now", p.ttl)
	case cmd.Flags().Changed("expiration") && p.expiration <= 0:
		return nil, usage(cmd, "--expiration %d is in the past: it is a number of seconds since the Unix epoch", p.expiration)
	case cmd.Flags().Changed("metadata") && !json.Valid([]byte(p.metadata)):
		return nil, usage(cmd, "--metadata %q is not JSON; a string needs its quotes: '\"text\"'", p.metadata)
	}
	return &engine.PutOptions{
		TTL:        time.Duration(p.ttl) * time.Second,
		Expiration: p.expiration,
		Metadata:   wire.CompactMetadata(json.RawMessage(p.metadata)),
	}, nil
}

func (p *keyPut) value(ctx context.Context, key, value string, opts *engine.PutOptions) (err error) {
	store, err := p.openWrite(ctx)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	return aboutKey("put", key, store.Put(ctx, key, []byte(value), opts))
}

// maxSpooledValue is one byte more than a value may have, so that the store
// is the one to refuse what is too large.
const maxSpooledValue = 25<<20 + 1

func (p *keyPut) fromPath(ctx context.Context, key string, opts *engine.PutOptions) (err error) {
	src, err := source.Open(ctx, p.path, p.in)
	if err != nil {
		return err
	}
	defer src.Close()
	store, err := p.openWriteFor(ctx, src, maxSpooledValue)
	if err != nil {
		return err
	}
	defer closing(store, &err)
	size := src.Size()
	if size == 0 {
		size = -1
	}
	return aboutKey("put", key, store.PutFrom(ctx, key, src, size, opts))
}
