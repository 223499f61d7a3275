package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firnkv/firn/cmd/firn/internal/progress"
	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
	"github.com/spf13/cobra"
)

func newVerify(a *app) *cobra.Command {
	var rate int64
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read and check everything",
		Long: `verify reads every byte of the data directory, or of the namespace that --namespace
names, and checks it. It prints a line for each damage it finds, and then the exit
status is 1. It changes nothing.`,
		Example: `  firn verify
  firn verify --namespace sessions --json`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rate < 0 {
				return usage(cmd, "--rate is negative")
			}
			v := verifier{app: a, ctx: cmd.Context(), rate: rate << 20, reports: []verified{}}
			return v.run()
		},
	}
	cmd.Flags().Int64Var(&rate, "rate", 0, "read at most so many `MiB` a second (default as fast as possible)")
	return cmd
}

// verifier verifies one store after the other.
type verifier struct {
	*app
	ctx     context.Context
	rate    int64 // bytes a second, or 0
	reports []verified
	damaged int
}

// verified is the report on one store.
type verified struct {
	Store    string   `json:"store"` // registry, namespace, or single
	Title    string   `json:"title,omitempty"`
	ID       string   `json:"id,omitempty"`
	Segments int64    `json:"segments"`
	Frames   int64    `json:"frames"`
	Records  int64    `json:"records"`
	Bytes    int64    `json:"bytes"`
	Damage   []damage `json:"damage"`
}

type damage struct {
	File   string `json:"file,omitempty"` // empty if it concerns the whole store
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

func (v *verifier) run() error {
	err := v.stores()
	if v.json {
		err = errors.Join(err, v.printJSON(v.reports))
	}
	if v.damaged > 0 {
		err = errors.Join(err, fmt.Errorf("%d damaged places found", v.damaged))
	}
	return err
}

func (v *verifier) stores() error {
	dir := v.directory()
	if v.namespace != "" || dir.Single() {
		return v.verifyNamespace(v.namespaceName())
	}
	if err := v.verifyRegistry(); err != nil || v.damaged > 0 {
		return err
	}
	all, err := dir.List(v.ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, ns := range all {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		failed = errors.Join(failed, v.verifyNamespace(ns.ID))
	}
	return failed
}

func (v *verifier) verifyRegistry() error {
	report := verified{Store: "registry"}
	var got *engine.VerifyReport
	err := v.directory().ViewRegistry(v.ctx, func(store *engine.Store) (err error) {
		got, err = v.verify(store, "registry")
		return err
	})
	if errors.Is(err, namespaces.ErrNoStore) {
		v.note("there is nothing to verify yet")
		return nil
	}
	return v.add(report, got, err)
}

func (v *verifier) verifyNamespace(name string) error {
	store, ns, err := v.directory().OpenRead(v.ctx, name)
	report := verified{Store: "namespace", Title: ns.Title, ID: ns.ID}
	switch {
	case errors.Is(err, namespaces.ErrNoStore):
		v.note("there is nothing to verify yet")
		return nil
	case errors.Is(err, namespaces.ErrNotExist):
		return v.hinted(v.ctx, name, err)
	case ns.ID == "":
		report.Store = "single"
	}
	if err != nil {
		return v.add(report, nil, err)
	}
	got, err := v.verify(store, printable(ns.Title))
	closing(store, &err)
	return v.add(report, got, err)
}

func (v *verifier) verify(store *engine.Store, name string) (*engine.VerifyReport, error) {
	bar := progress.New(v.err, "verifying")
	defer bar.Clear()
	return store.Verify(v.ctx, &engine.VerifyOptions{
		BytesPerSecond: v.rate, Progress: func(done, total int64) { bar.Set(done, total, name) },
	})
}

// add adds the report on a store, with what its verification came to, and
// prints it. A store that is too damaged to be opened is reported as damaged.
func (v *verifier) add(r verified, got *engine.VerifyReport, err error) error {
	var corrupt *engine.CorruptError
	r.Damage = []damage{}
	switch {
	case errors.As(err, &corrupt):
		r.Damage = append(r.Damage, damage{corrupt.File, corrupt.Offset, corrupt.Reason})
	case errors.Is(err, engine.ErrNotStore), errors.Is(err, fs.ErrNotExist):
		r.Damage = append(r.Damage, damage{Reason: err.Error()})
	case err != nil:
		return err
	default:
		r.Segments, r.Frames, r.Records, r.Bytes = got.Segments, got.Frames, got.Records, got.Bytes
		for _, d := range got.Damage {
			r.Damage = append(r.Damage, damage{d.File, d.Offset, d.Reason})
		}
	}
	v.damaged += len(r.Damage)
	v.reports = append(v.reports, r)
	return v.printVerified(&r)
}

// printVerified prints damage, which is the result, and otherwise a note.
func (v *verifier) printVerified(r *verified) error {
	name := r.Store
	if r.Title != "" {
		name = printable(r.Title)
	}
	if !v.json {
		for _, d := range r.Damage {
			if err := v.printLine(name + ": " + d.String()); err != nil {
				return err
			}
		}
	}
	v.note("%s: %d segments, %d frames, %d records, %s, %d damaged places",
		name, r.Segments, r.Frames, r.Records, size(r.Bytes), len(r.Damage))
	return nil
}

func (d damage) String() string {
	if d.File == "" {
		return d.Reason
	}
	return fmt.Sprintf("%s: at %d: %s", d.File, d.Offset, d.Reason)
}
