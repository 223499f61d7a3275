package compaction

// PickAll returns the next job of a compaction that is to bring everything into
// its final form: nothing in the order of writing, nothing young, no garbage above
// a hundredth of a segment. The jobs come to an end, as what they write is in that
// form.
func PickAll(st *State) (job Job, ok bool) {
	v := newView(st)
	if reason, form, victims := dead(&v); len(victims) > 0 {
		return newJob(reason, form, victims), true
	}
	job = Job{Reason: Full, Form: Settled}
	values := Job{Reason: Full, Form: Values}
	var sum int64
	for i := range st.Segments {
		s := &st.Segments[i]
		if s.final() {
			continue
		}
		if s.Form == Values {
			values.Victims = append(values.Victims, s.ID)
			continue
		}
		size := s.Disk
		if s.Puts > 0 {
			size = int64(float64(s.Disk) * float64(s.Live) / float64(s.Puts))
		}
		if len(job.Victims) > 0 && sum+size > fullBytes {
			break
		}
		sum += size
		job.Victims = append(job.Victims, s.ID)
	}
	if len(job.Victims) > 0 {
		return job, true
	}
	if len(values.Victims) > 0 {
		values.Victims = values.Victims[:1]
		return values, true
	}
	return Job{}, false
}

// fullBytes is about how many bytes a job of a full compaction writes.
const fullBytes = 128 << 20

// final reports whether rewriting the segment would gain nothing.
func (s *Segment) final() bool {
	garbage := s.Puts - s.Live
	switch {
	case s.Form == Log || s.Form == Young:
		return false
	case s.Tombstones > 0 && !s.Kept:
		return false
	case s.Puts == 0:
		return true
	}
	return garbage*100 < s.Puts
}
