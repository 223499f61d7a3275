package report

// rateOver is the time over which a rate is told, in seconds: about what a stall
// has to take to be seen.
const rateOver = 0.25

// timelines plots throughput and disk use over time, if that was watched.
func (r *Report) timelines(w Workload) []*chart {
	rate := r.timeline(w, "throughput over time", PerSecond, rates, onPage)
	disk := r.timeline(w, "disk use over time", Bytes, diskUse, onPage)
	if rate == nil || disk == nil {
		return nil
	}
	return []*chart{rate, disk}
}

func (r *Report) timeline(w Workload, title string, unit Unit, points func(moments []Moment) []point, s size) *chart {
	end, most := 0.0, 0.0
	lines := make([][]point, len(r.Engines))
	for i, e := range r.Engines {
		if res := r.Result(w.Name, e.Name); res != nil {
			lines[i] = points(res.Timeline)
		}
		for _, p := range lines[i] {
			end, most = max(end, p.x), max(most, p.y)
		}
	}
	if end == 0 {
		return nil
	}
	c := newChart(title, "time", s)
	y, values := linear(most)
	c.yTicks(y, values, unit)
	x, times := linear(end)
	c.xTicks(x, times, Seconds.Format)
	for i, e := range r.Engines {
		if lines[i] != nil {
			c.add(e.Name, i, lines[i], x, y)
		}
	}
	return c
}

// rates returns the operations a second between moments.
func rates(moments []Moment) []point {
	var points []point
	last := Moment{}
	for i, m := range moments {
		passed := m.Seconds - last.Seconds
		if passed < rateOver && i < len(moments)-1 || passed <= 0 {
			continue
		}
		points = append(points, point{m.Seconds, float64(m.Ops-last.Ops) / passed})
		last = m
	}
	return points
}

func diskUse(moments []Moment) []point {
	var points []point
	for _, m := range moments {
		points = append(points, point{m.Seconds, float64(m.DiskBytes)})
	}
	return points
}
