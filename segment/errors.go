package segment

import (
	"errors"
	"fmt"
)

// ErrCorrupt is matched by every error that says that bytes of a segment are
// not what was written. The error is a [*CorruptError].
var ErrCorrupt = errors.New("corrupt segment")

// ErrVersion is matched by the error for a file of an unknown format version.
var ErrVersion = errors.New("unknown format version")

// CorruptError says where a segment is damaged, and how. It matches
// [ErrCorrupt].
type CorruptError struct {
	Offset int64 // of the frame, or of the structure that does not hold
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("at %d: %s", e.Offset, e.Reason)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func corrupt(off int64, reason string) error {
	return &CorruptError{Offset: off, Reason: reason}
}
