package compaction

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/firnkv/firn/segment"
)

// Verdict is what becomes of a put in a victim.
type Verdict uint8

// The verdicts. A superseded put goes: a newer version of its key exists, is on
// disk, and is not older than any that the put hid. An expired one is the newest
// of its key: like a tombstone, it goes unless something older would come back.
const (
	Superseded Verdict = iota
	Live
	Expired
)

// Marker is a tombstone, or an expired put, that is the newest version of its key
// among the victims.
type Marker struct {
	Key    []byte
	Hash   uint64 // segment.KeyHash of Key
	Seq    uint64
	Needed bool // a segment that is not a victim has an older version
}

// Host is the store whose segments are rewritten. Its methods are called from one
// goroutine.
type Host interface {
	// Judge says what becomes of a put. What was superseded stays so; what
	// was expired does not live again.
	Judge(v *Victim, e *segment.Entry) Verdict
	// Needed sets Needed of the markers, which come in the order of their
	// keys, some at a time.
	Needed(markers []Marker) error
	// Relocate returns where the value of a live put with a pointer is going
	// to be. If it stays where it is, that is the pointer of the entry.
	Relocate(e *segment.Entry) (segment.Pointer, error)
	// Create makes a segment for the output.
	Create() (Output, error)
	// Yield is called again and again, at least once in 100 µs or so. An
	// error ends the rewrite.
	Yield() error
}

// Output is a new packed segment.
type Output interface {
	io.WriterAt
	Header() segment.Header
	// Finish makes it durable. It has the given size then.
	Finish(size int64) error
}

// Options say how to rewrite.
type Options struct {
	Form     Form  // Young or Settled
	Now      int64 // Unix seconds
	MaxBytes int64 // of an output, about
	Memory   int   // bytes for records that are read ahead, in all; and for markers
	Workers  int   // goroutines that compress

	// Dictionary is for a young form, where no victim has one. If it is nil,
	// one may be trained if Train is set, which takes half a second.
	Dictionary []byte
	Train      bool
}

// Report says what a rewrite did.
type Report struct {
	Kept       int64 // live records
	Superseded int64
	Expired    int64 // dropped
	Tombstones int64 // dropped
	Needed     int64 // tombstones and expired records kept as tombstones
	Written    int64 // bytes of the outputs
}

const (
	// youngFrame is how many bytes of records a frame of a young segment
	// gathers if there is no dictionary: on real JSON of 680 B, sorted, frames
	// of 8 KiB take 11 % less than those of 4 KiB, and 9 % more than those of
	// 16 KiB, which take twice as long to read. With a dictionary frames can be
	// smaller: JSON of 433 B takes 0.40 of its size in frames of 8 and of 4 KiB,
	// without one 0.48 in frames of 8, which take as long to read as those of 4
	// with one.
	youngFrame           = 8 << 10
	youngDictionaryFrame = 4 << 10

	// samples is how many records a dictionary is trained on. With half as many
	// real JSON records are packed 1 % worse, in half the time.
	samples = 2000
	// trainingBytes is how many bytes of them at most: the time grows with the
	// bytes.
	trainingBytes = 2 << 20
	// sampleBytes is the longest record that is taken as a sample.
	sampleBytes = 8 << 10
	// dictionaryFrom is from how many bytes of records on a segment has a
	// dictionary.
	dictionaryFrom = 512 << 10
	// dictionaryShare is the part of the data, one in so many, that a dictionary
	// may be: a larger one does not pay.
	dictionaryShare = 64

	// apartFrom is from how many bytes on records that expire are worth a
	// segment of their own.
	apartFrom = 512 << 10
)

// Rewrite writes what is live in the victims, and the tombstones that are needed,
// to new packed segments. It reads the keys twice: first it finds out what is to
// be kept, how much of it expires when, and which tombstones are needed; then it
// writes. When it returns, the outputs are finished; the host makes them count.
func Rewrite(ctx context.Context, host Host, victims []*Victim, opts Options) (Report, error) {
	r := &rewriter{ctx: ctx, host: host, victims: victims, opts: opts, minSeq: ^uint64(0), kept: map[*Victim]int64{}}
	if err := r.plan(); err != nil {
		return r.report, err
	}
	if err := r.chooseDictionary(); err != nil {
		return r.report, err
	}
	return r.report, r.write()
}

type rewriter struct {
	ctx     context.Context
	host    Host
	victims []*Victim
	opts    Options
	report  Report

	// What the first pass found.
	minSeq  uint64
	maxTime int64
	kept    map[*Victim]int64 // bytes of the live records
	plain   int64             // bytes that never expire
	buckets buckets
	markers []Marker // those of fresh aside, the needed ones
	fresh   int      // how many at the end of markers the host has not been asked about
	keys    []byte   // of the fresh ones
	sampled []sample
	seen    int // records that could have been sampled

	dictionaries [][]byte // the first is nil
	chosen       int      // of those, for what is compressed
	outputs      map[class]*output
	yieldErr     error
	checks       int
}

// class says which output a record goes to.
type class struct {
	pointers   bool
	until      int64 // end of the bucket; 0: of what does not expire
	alone      bool  // one record a frame
	dictionary int
}

type sample struct {
	v      *Victim
	offset int64
	number int
	size   int
}

// checkEvery is how many entries, of 300 ns or more, are looked at between yields.
const checkEvery = 16

// check returns why the rewrite has to end, or nil.
func (r *rewriter) check() error {
	if r.checks++; r.checks%checkEvery != 0 {
		return nil
	}
	if err := r.host.Yield(); err != nil {
		return err
	}
	if r.yieldErr != nil {
		return r.yieldErr
	}
	return r.ctx.Err()
}

// wrap says in which victim an error arose.
func (v *Victim) wrap(err error) error {
	if err == nil {
		return nil
	}
	return &VictimError{ID: v.ID, Err: err}
}

// VictimError says which victim could not be read.
type VictimError struct {
	ID  uint64
	Err error
}

func (e *VictimError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *VictimError) Unwrap() error { return e.Err }

func (r *rewriter) plan() error {
	var sources []*segment.Source[*Victim]
	for _, v := range r.victims {
		r.maxTime = max(r.maxTime, v.Totals.MaxTime)
		sources = append(sources, &segment.Source[*Victim]{Entries: v.Blocks.Iterator(false), ID: v.ID, Owner: v})
	}
	rng := rand.New(rand.NewPCG(r.victims[0].ID, 0))
	var key []byte
	m := segment.NewMerger(sources, nil)
	for m.Next() {
		if err := r.check(); err != nil {
			return err
		}
		e := m.Entry()
		if bytes.Equal(e.Key, key) {
			if !e.Tombstone {
				r.report.Superseded++
			}
			continue
		}
		key = append(key[:0], e.Key...)
		r.planEntry(m.Source().Owner, e, rng)
		if len(r.keys)+r.fresh*markerBytes > r.opts.Memory {
			if err := r.sift(); err != nil {
				return err
			}
		}
	}
	if failed := m.Failed(); failed != nil {
		return failed.Owner.wrap(failed.Err())
	}
	r.buckets.join(r.plain)
	return r.sift()
}

// markerBytes is about what a marker takes beside its key.
const markerBytes = 64

// sift has the host look at the fresh markers, and forgets those that are not
// needed: there may be as many tombstones as keys were ever deleted.
func (r *rewriter) sift() error {
	known := len(r.markers) - r.fresh
	if err := r.host.Needed(r.markers[known:]); err != nil {
		return err
	}
	needed := r.markers[:known]
	for _, m := range r.markers[known:] {
		if m.Needed {
			m.Key = bytes.Clone(m.Key)
			needed = append(needed, m)
		}
	}
	r.markers, r.fresh, r.keys = needed, 0, r.keys[:0]
	return nil
}

// planEntry looks at the newest version of a key among the victims.
func (r *rewriter) planEntry(v *Victim, e *segment.Entry, rng *rand.Rand) {
	verdict := Expired
	if !e.Tombstone {
		verdict = r.host.Judge(v, e)
	}
	switch verdict {
	case Superseded:
		r.report.Superseded++
		return
	case Expired:
		n := len(r.keys)
		r.keys = append(r.keys, e.Key...)
		r.markers = append(r.markers, Marker{Key: r.keys[n:], Hash: segment.KeyHash(e.Key), Seq: e.Seq})
		r.fresh++
	case Live:
		r.report.Kept++
		size := int64(len(e.Key) + e.MetadataLen)
		if !e.HasPointer {
			size = e.Size()
			r.sample(v, e, rng)
		}
		r.kept[v] += size
		if e.Expiration == 0 || e.HasPointer {
			r.plain += size
		} else {
			r.buckets.add(e.Expiration, r.opts.Now, size)
		}
	}
	r.minSeq = min(r.minSeq, e.Seq)
}

// sample keeps a random choice of the live records (reservoir sampling).
func (r *rewriter) sample(v *Victim, e *segment.Entry, rng *rand.Rand) {
	if e.Size() > sampleBytes {
		return
	}
	s := sample{v, e.Offset, e.Ordinal, int(e.Size())}
	r.seen++
	if len(r.sampled) < samples {
		r.sampled = append(r.sampled, s)
	} else if i := rng.IntN(r.seen); i < samples {
		r.sampled[i] = s
	}
}

// chooseDictionary keeps the dictionary that most of what is live was compressed
// with, if that saves work or training. Otherwise it trains one.
func (r *rewriter) chooseDictionary() error {
	r.dictionaries = [][]byte{nil}
	total, kept, err := r.keptBy()
	if err != nil || total < dictionaryFrom {
		return err
	}
	if r.opts.Form == Young {
		return r.adoptDictionary(total, kept)
	}
	for i, n := range kept {
		if n >= total/2 && i != 0 {
			r.chosen = i
			return nil
		}
	}
	return r.trainDictionary(total)
}

// keptBy returns how many bytes are live, and of those which could keep their
// dictionary how many have which. To keep it saves a settled form nothing unless
// frames are taken as they are.
func (r *rewriter) keptBy() (total int64, kept []int64, err error) {
	kept = []int64{0}
	for _, v := range r.victims {
		total += r.kept[v]
		if r.kept[v] == 0 || v.Reader.Header().Kind != segment.Packed || r.opts.Form == Settled && !v.alone() {
			continue
		}
		i, err := r.dictionaryOf(v)
		if err != nil {
			return 0, nil, err
		}
		if i == len(kept) {
			kept = append(kept, 0)
		}
		kept[i] += r.kept[v]
	}
	return total, kept, nil
}

// adoptDictionary chooses one for a young form: any of the same kind of data will
// do until that settles. Records of which few go into a frame gain little by it, and
// with one a frame they count as settled.
func (r *rewriter) adoptDictionary(total int64, kept []int64) error {
	if total > r.report.Kept*youngDictionaryFrame/4 {
		return nil
	}
	kept[0] = 0
	most := slices.Max(kept)
	switch {
	case most > 0:
		r.chosen = slices.Index(kept, most)
	case r.opts.Dictionary != nil:
		r.choose(r.opts.Dictionary)
	case r.opts.Train:
		return r.trainDictionary(total)
	}
	if int64(len(r.dictionaries[r.chosen])) > total/dictionaryShare {
		r.chosen = 0
	}
	return nil
}

// trainDictionary makes one of the samples.
func (r *rewriter) trainDictionary(total int64) error {
	training, err := r.training()
	if err != nil {
		return err
	}
	if d := segment.BuildDictionary(training, int(min(total/dictionaryShare, segment.DictionarySize))); d != nil {
		r.choose(d)
	}
	return nil
}

// choose takes a dictionary that no victim has.
func (r *rewriter) choose(d []byte) {
	r.chosen = len(r.dictionaries)
	r.dictionaries = append(r.dictionaries, d)
}

// dictionaryOf returns the number of a victim's dictionary.
func (r *rewriter) dictionaryOf(v *Victim) (int, error) {
	d, err := v.Reader.Dictionary()
	if err != nil {
		return 0, v.wrap(err)
	}
	for i := range r.dictionaries {
		if bytes.Equal(d, r.dictionaries[i]) {
			return i, nil
		}
	}
	r.dictionaries = append(r.dictionaries, d)
	return len(r.dictionaries) - 1, nil
}

// training returns the records that were sampled.
func (r *rewriter) training() ([][]byte, error) {
	var buf segment.Buffer
	var training [][]byte
	size := 0
	for _, s := range r.sampled {
		size += s.size
	}
	every := size/trainingBytes + 1
	for i, s := range r.sampled {
		if i%every != 0 {
			continue
		}
		if err := r.check(); err != nil {
			return nil, err
		}
		payload, err := s.v.Reader.ReadRecords(s.offset, s.size+256, &buf)
		if err != nil {
			return nil, s.v.wrap(err)
		}
		var n int
		ok := true
		for i := 0; ok && i <= s.number; i++ {
			payload = payload[n:]
			n, ok = segment.SkipRecord(payload)
		}
		if ok {
			training = append(training, bytes.Clone(payload[:n]))
		}
	}
	return training, nil
}

func (r *rewriter) write() error {
	r.outputs = map[class]*output{}
	sources, err := r.inputs()
	if err != nil {
		return err
	}
	var p pending
	markers := r.markers
	m := segment.NewMerger(sources, nil)
	for m.Next() {
		if err := r.check(); err != nil {
			return err
		}
		e, in := m.Entry(), m.Source().Owner
		if p.is(e.Key) {
			p.deletes = e.Deletes
			continue
		}
		if err := r.emit(&p, &markers); err != nil {
			return err
		}
		if err := p.take(e, in.input); err != nil {
			return in.v.wrap(err)
		}
	}
	if failed := m.Failed(); failed != nil {
		return failed.Owner.v.wrap(failed.Err())
	}
	if err := r.emit(&p, &markers); err != nil {
		return err
	}
	for _, o := range r.outputs {
		if err := r.finish(o); err != nil {
			return err
		}
	}
	return nil
}

// owned is an input and the victim that it is of.
type owned struct {
	input
	v *Victim
}

func (r *rewriter) inputs() ([]*segment.Source[owned], error) {
	logs := int64(1) // bytes that are live in log segments
	for _, v := range r.victims {
		if v.Reader.Header().Kind == segment.Log {
			logs += r.kept[v]
		}
	}
	var sources []*segment.Source[owned]
	for _, v := range r.victims {
		share := float64(r.kept[v]) / float64(logs)
		in, err := r.input(v, int(float64(r.opts.Memory)*share))
		if err != nil {
			return nil, err
		}
		sources = append(sources, &segment.Source[owned]{Entries: in, ID: v.ID, Owner: owned{in, v}})
	}
	return sources, nil
}

// input returns that of a victim. Frames that hold one record are taken as they
// are if that may be, in their form: it takes a tenth of the time.
func (r *rewriter) input(v *Victim, memory int) (input, error) {
	if v.Reader.Header().Kind == segment.Log {
		return newLogInput(r.host, v, memory, r.opts.Workers), nil
	}
	in := newPackedInput(r.host, v)
	if !v.alone() {
		return in, nil
	}
	d, err := r.dictionaryOf(v)
	if err != nil {
		return nil, err
	}
	if r.opts.Form != Settled || d == r.chosen {
		in.asStored, in.dictionary = true, d
	}
	return in, nil
}

// pending is the newest version of a key, which waits until all versions of the
// key have been seen.
type pending struct {
	full    bool
	entry   segment.Entry // its slices are part of bytes
	bytes   []byte
	verdict Verdict
	deletes bool // the flag of the oldest version
	read    read
}

func (p *pending) is(key []byte) bool { return p.full && bytes.Equal(p.entry.Key, key) }

func (p *pending) take(e *segment.Entry, in input) error {
	p.full, p.entry, p.deletes, p.verdict = true, *e, e.Deletes, Superseded
	p.bytes = append(append(p.bytes[:0], e.Key...), e.Metadata...)
	p.entry.Key, p.entry.Metadata = p.bytes[:len(e.Key)], p.bytes[len(e.Key):]
	if e.Tombstone {
		return nil
	}
	if p.verdict = in.verdict(); p.verdict != Live || e.HasPointer {
		return nil
	}
	return in.record(&p.read)
}

// emit writes the pending version, if it is to be kept.
func (r *rewriter) emit(p *pending, markers *[]Marker) error {
	if !p.full {
		return nil
	}
	p.full = false
	e := &p.entry
	needed := false
	for len(*markers) > 0 && bytes.Compare((*markers)[0].Key, e.Key) <= 0 {
		needed = (*markers)[0].Needed && bytes.Equal((*markers)[0].Key, e.Key)
		*markers = (*markers)[1:]
	}
	switch {
	case !e.Tombstone && p.verdict == Live:
		return r.emitLive(p)
	case !e.Tombstone && p.verdict == Superseded:
		return nil
	case needed:
		r.report.Needed++
		o, err := r.output(r.class(0))
		if err != nil {
			return err
		}
		return o.w.Add(&segment.Record{Seq: e.Seq, Key: e.Key, Tombstone: true}, p.deletes)
	case e.Tombstone:
		r.report.Tombstones++
	default:
		r.report.Expired++
	}
	return nil
}

func (r *rewriter) emitLive(p *pending) error {
	e := &p.entry
	e.Deletes = p.deletes
	if e.HasPointer {
		return r.emitPointer(e)
	}
	c := r.class(r.buckets.of(e.Expiration))
	if p.read.asStored {
		c.alone, c.dictionary = true, p.read.dictionary
	}
	o, err := r.output(c)
	if err != nil {
		return err
	}
	if p.read.asStored {
		return o.w.AddStored(e, p.read.frame, p.read.stored)
	}
	return o.w.AddEncoded(e, p.read.encoded)
}

// emitPointer writes the record of a large value. They stand apart: to move
// values, the segments that point to them have to be written anew.
func (r *rewriter) emitPointer(e *segment.Entry) error {
	to, err := r.host.Relocate(e)
	if err != nil {
		return err
	}
	o, err := r.output(class{pointers: true, alone: true})
	if err != nil {
		return err
	}
	return o.w.Add(&segment.Record{
		Seq: e.Seq, Key: e.Key, Metadata: e.Metadata, Expiration: e.Expiration, Length: e.Length, Pointer: &to,
	}, e.Deletes)
}

// class returns that of records which are compressed anew.
func (r *rewriter) class(until int64) class {
	return class{until: until, alone: r.opts.Form == Settled, dictionary: r.chosen}
}

// output is one being written.
type output struct {
	Output
	w *segment.PackedWriter
}

// output returns that of a class. One that has grown to its size is finished, and
// another takes its place.
func (r *rewriter) output(c class) (*output, error) {
	o := r.outputs[c]
	if o != nil && o.w.Size() >= r.opts.MaxBytes {
		delete(r.outputs, c)
		if err := r.finish(o); err != nil {
			return nil, err
		}
		o = nil
	}
	if o != nil {
		return o, nil
	}
	file, err := r.host.Create()
	if err != nil {
		return nil, err
	}
	opts := segment.PackedOptions{
		MinSeq: r.minSeq, Workers: r.opts.Workers, Yield: r.yield, Dictionary: r.dictionaries[c.dictionary],
	}
	switch {
	case c.alone:
	case opts.Dictionary != nil:
		opts.FrameBytes, opts.Level = youngDictionaryFrame, segment.Fastest
	default:
		opts.FrameBytes = youngFrame
	}
	w, err := segment.NewPackedWriter(file, file.Header(), opts)
	if err != nil {
		return nil, err
	}
	o = &output{file, w}
	r.outputs[c] = o
	return o, nil
}

// yield is for where no error can be returned; the next check does.
func (r *rewriter) yield() {
	if err := r.host.Yield(); r.yieldErr == nil {
		r.yieldErr = err
	}
}

func (r *rewriter) finish(o *output) error {
	size, err := o.w.Finish(r.maxTime)
	if err != nil {
		return err
	}
	r.report.Written += size
	return o.Output.Finish(size)
}
