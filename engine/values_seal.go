package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/firnkv/firn/segment"
)

// sealValues ends a value segment: no stream begins in it from now on, and once it
// is on disk and the manifest says that it is sealed, nobody modifies it any more.
// It reports false if streams are under way in it; the background seals it when
// they have ended.
//
// A stream ends when its value is committed. Of a commit whose context has ended,
// the record may still be in the queue of the log.
func (s *Store) sealValues(sg *seg) (bool, error) {
	if !sg.acquire() {
		return true, nil // removed meanwhile
	}
	defer sg.release()
	if err := s.values.enter(); err != nil {
		return false, err
	}
	defer s.values.done()
	if s.isSealed(sg) {
		return true, nil
	}
	if !s.values.retire(sg) {
		return false, nil
	}
	end := sg.end.Load()
	size, err := sg.file.Size()
	if err != nil {
		return false, err
	}
	if size != end {
		// A write at the end failed.
		if err := sg.file.Truncate(end); err != nil {
			return false, err
		}
	}
	if err := sg.syncValues(); err != nil {
		return false, err
	}
	s.values.synced(sg)
	s.state.Lock()
	defer s.state.Unlock()
	if info := s.manifest.state.segments[sg.id]; info == nil || info.state == stateSealed {
		return true, nil
	}
	return true, s.manifest.commit(edit(nil).seal(sg.id, end))
}

func (s *Store) isSealed(sg *seg) bool {
	s.state.Lock()
	defer s.state.Unlock()
	info := s.manifest.state.segments[sg.id]
	return info == nil || info.state == stateSealed
}

// sealRetired seals the value segments that take no more values.
func (s *Store) sealRetired() error {
	for _, sg := range s.segs.all() {
		if sg.kind != segment.Value || !s.values.isRetired(sg) {
			continue
		}
		if s.background.halting.Load() {
			return errHalted
		}
		if _, err := s.sealValues(sg); errors.Is(err, ErrClosed) {
			return errHalted
		} else if err != nil {
			return fmt.Errorf("seal %s: %w", sg.name(), err)
		}
	}
	return nil
}

// retire keeps new streams out of a segment, and reports whether none is under way.
func (v *valueLog) retire(sg *seg) (idle bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open = slices.DeleteFunc(v.open, func(other *seg) bool { return other == sg })
	return sg.streams == 0
}

// synced notes that a segment without streams has been synced: the next sync of
// the log may come when the file is closed. Values that were not committed leave
// it to be synced.
func (v *valueLog) synced(sg *seg) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.unsynced, sg)
}

func (v *valueLog) isRetired(sg *seg) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.retired(sg)
}

// retired reports whether no stream will begin in a segment. mu is held.
func (v *valueLog) retired(sg *seg) bool {
	return sg.end.Load() >= valueSegmentBytes || !slices.Contains(v.open, sg)
}
