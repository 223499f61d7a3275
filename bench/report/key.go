package report

// keyEntry says which engine a color stands for.
type keyEntry struct {
	Engine string
	Color  int // index of the engine
	X      float64
}

// key returns the entries for lines, side by side.
func key(lines []line) []keyEntry {
	const letter, gap = 6.5, 34 // pixels: about what a letter takes, and the color with the space around it
	var entries []keyEntry
	x := 0.0
	for _, l := range lines {
		entries = append(entries, keyEntry{l.Engine, l.Color, x})
		x = rounded(x + gap + letter*float64(len(l.Engine)))
	}
	return entries
}
