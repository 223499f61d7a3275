// Package progress draws a progress bar on a terminal, and nothing anywhere
// else.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Bar is a progress bar on one line. A nil Bar draws nothing. It is not safe
// for concurrent use.
type Bar struct {
	out   io.Writer
	width func() int
	now   func() time.Time
	label string
	last  time.Time
	drawn int // columns in use
}

// redraw is how often the bar changes at most: often enough to look alive,
// too seldom to cost anything.
const redraw = 100 * time.Millisecond

// New returns a bar on w, or nil if w is not a terminal.
func New(w io.Writer, label string) *Bar {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	width := func() int {
		columns, _, err := term.GetSize(int(file.Fd()))
		if err != nil || columns <= 0 {
			return 80
		}
		return columns
	}
	return &Bar{out: w, width: width, now: time.Now, label: label, last: time.Now()}
}

// Set shows done out of total, and note after it. If total is not positive,
// only the note is shown.
func (b *Bar) Set(done, total int64, note string) {
	if b == nil || b.now().Sub(b.last) < redraw {
		return
	}
	b.last = b.now()
	line := b.line(done, total, note)
	fmt.Fprintf(b.out, "\r%-*s", b.drawn, line)
	b.drawn = len(line)
}

func (b *Bar) line(done, total int64, note string) string {
	line := b.label
	if total > 0 {
		const cells = 24
		done = min(max(done, 0), total)
		share := float64(done) / float64(total)
		full := int(share * cells)
		line += fmt.Sprintf(" [%s%s] %3.0f%%", strings.Repeat("=", full), strings.Repeat(" ", cells-full), share*100)
	}
	if note != "" {
		line += " " + note
	}
	// A line that wraps cannot be cleared by going back to its begin.
	if most := max(b.width()-1, 0); len(line) > most {
		line = line[:most]
	}
	return line
}

// Clear removes the bar from the terminal, so that other output can follow.
func (b *Bar) Clear() {
	if b != nil && b.drawn > 0 {
		fmt.Fprintf(b.out, "\r%*s\r", b.drawn, "")
		b.drawn = 0
	}
}
