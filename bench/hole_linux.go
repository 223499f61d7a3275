package bench

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// seekData is SEEK_DATA of lseek(2).
const seekData = 3

// nextData returns where a file has data again, from off on, or its end.
func nextData(f *os.File, off int64) (int64, error) {
	at, err := f.Seek(off, seekData)
	if errors.Is(err, syscall.ENXIO) { // there is only a hole
		return f.Seek(0, io.SeekEnd)
	}
	return at, err
}
