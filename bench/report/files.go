package report

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// WriteFiles writes the report to report.json, report.md and report.html in dir,
// which it creates if need be, and plots of it to throughput.svg and disk.svg.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return errors.Join(
		writeFile(filepath.Join(dir, "report.json"), r.WriteJSON),
		writeFile(filepath.Join(dir, "report.md"), r.WriteMarkdown),
		writeFile(filepath.Join(dir, "report.html"), r.WriteHTML),
		writeFile(filepath.Join(dir, "throughput.svg"), r.WriteThroughput),
		writeFile(filepath.Join(dir, "disk.svg"), r.WriteDisk),
	)
}

func writeFile(path string, write func(w io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
