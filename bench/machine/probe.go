package machine

import (
	"errors"
	"os"
)

const (
	probeBlock = 4 << 10
	probeBytes = 4 << 20
)

// Probe writes blocks of 4 KiB to a file that has its space already, each synced
// on its own: what no durable put can be faster than.
type Probe struct {
	file  *os.File
	block [probeBlock]byte
	next  int64
}

// NewProbe makes a file in dir and writes it once in full.
func NewProbe(dir string) (*Probe, error) {
	f, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return nil, err
	}
	p := &Probe{file: f}
	if _, err = f.Write(make([]byte, probeBytes)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Write writes a block and syncs it.
func (p *Probe) Write() error {
	p.block[0]++
	if _, err := p.file.WriteAt(p.block[:], p.next); err != nil {
		return err
	}
	p.next = (p.next + probeBlock) % probeBytes
	return syncData(p.file)
}

// Close removes the file.
func (p *Probe) Close() error {
	return errors.Join(p.file.Close(), os.Remove(p.file.Name()))
}
