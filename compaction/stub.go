package compaction

func Bucket(expiration, now int64) (from, to int64) {
	if expiration == 0 {
		return 0, 0
	}
	w := int64(64)
	for w*2 <= (expiration-now)/8 {
		w *= 2
	}
	return expiration / w * w, expiration/w*w + w
}
func Unit(total int64) int64     { return min(max(total/16, 4<<20), 64<<20) }
func Pick(st *State) (Job, bool) { return Job{}, false }
func pickDead(st *State) (Job, bool) { return Job{}, false }
func Pressure(st *State) float64 { return 0 }
