package progress

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestNotATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if New(&bytes.Buffer{}, "x") != nil || New(file, "x") != nil {
		t.Error("a bar where there is no terminal")
	}
	var none *Bar
	none.Set(1, 2, "")
	none.Clear()
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	clock, width := time.Unix(0, 0), 80
	b := &Bar{out: &out, width: func() int { return width }, now: func() time.Time { return clock }, label: "reading", last: clock}
	steps := []struct {
		after       time.Duration
		width       int
		done, total int64
		want        string
	}{
		{0, 80, 1, 4, ""},
		{redraw, 80, 1, 4, "\rreading [======                  ]  25% note"},
		{redraw / 2, 80, 2, 4, ""},
		{redraw, 80, 9, 4, "\rreading [========================] 100% note"},
		{redraw, 80, 9, 0, "\rreading note                                "},
		{redraw, 10, 9, 4, "\rreading [   "},
		{redraw, 0, 9, 4, "\r         "},
	}
	for i, step := range steps {
		out.Reset()
		clock, width = clock.Add(step.after), step.width
		b.Set(step.done, step.total, "note")
		if out.String() != step.want {
			t.Errorf("step %d: %q, want %q", i, &out, step.want)
		}
	}
	out.Reset()
	b.drawn = 3
	b.Clear()
	b.Clear()
	if out.String() != "\r   \r" {
		t.Errorf("clear: %q", &out)
	}
}
