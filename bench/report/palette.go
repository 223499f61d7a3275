package report

import (
	"fmt"
	"html/template"
)

// palette is the colors of a page or a figure.
type palette struct {
	Ink, Faint, Rule, Paper template.CSS
	Series                  []template.CSS // of the engines, in their order
}

// Those of the engines differ also for readers who see few colors (Okabe and Ito,
// "Color Universal Design", 2008), adapted to the paper.
var (
	lightColors = palette{"#1b1f24", "#6a737d", "#d7dce1", "#ffffff",
		[]template.CSS{"#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#56b4e9"}}
	darkColors = palette{"#e6e9ec", "#98a1aa", "#3a4149", "#16191d",
		[]template.CSS{"#56b4e9", "#ff8c42", "#2fc79a", "#dd88cc", "#e6c229", "#8fa8ff"}}
	// colorVariables leaves the choice between the two to the page.
	colorVariables = variables()
)

func variables() palette {
	p := palette{"var(--ink)", "var(--faint)", "var(--rule)", "var(--paper)", nil}
	for i := range lightColors.Series {
		p.Series = append(p.Series, template.CSS(fmt.Sprintf("var(--c%d)", i)))
	}
	return p
}
