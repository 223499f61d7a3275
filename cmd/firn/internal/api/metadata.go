package api

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

// metadataParts gathers the metadata of a form. It is either one part "metadata" that
// holds JSON, or what the SDKs make of an object: a part for each string, number or
// boolean in it, named for where that is. The TypeScript SDK names them metadata[a],
// metadata[b][c] and, for the elements of an array, metadata[d][]; the Go SDK
// metadata.a, metadata.b.c and metadata.d.0.
//
// Names do not tell everything. Elements of an array that are objects begin where a
// name comes again. What looks like a number, a boolean or null is taken for one; a
// number only if it is spelled as the SDKs spell it, so that "007" and
// "12345678901234567890" stay what they are. An object with the names 0, 1, 2, …, in
// dots, is taken for an array.
type metadataParts struct {
	whole    []byte
	hasWhole bool
	root     *node
	bytes    int // of names and texts
}

const (
	metadataName = "metadata"

	// maxMetadataPart is the most bytes of metadata in a form: white space does
	// not count against the limit, nor do names that are repeated in each part.
	maxMetadataPart = 64 << 10

	// maxPath is how deep the parts of a form may nest their metadata.
	maxPath = 64
)

// isMetadataPart reports whether a part of that name has metadata.
func isMetadataPart(name string) bool {
	rest, ok := strings.CutPrefix(name, metadataName)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (m *metadataParts) any() bool { return m.hasWhole || m.root != nil }

// add reads a part.
func (m *metadataParts) add(name string, part io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(part, maxMetadataPart+1))
	if err != nil {
		return err
	}
	if m.bytes += len(name) + len(text); m.bytes > maxMetadataPart {
		n, err := io.Copy(io.Discard, part)
		if err != nil {
			return err
		}
		return metadataTooLarge(int64(len(text)) + n)
	}
	if m.hasWhole || m.root != nil && name == metadataName {
		return bad("The form has metadata twice")
	}
	if name == metadataName {
		m.whole, m.hasWhole = text, true
		return nil
	}
	path, err := splitName(name)
	if err != nil {
		return err
	}
	if m.root == nil {
		m.root = new(node)
	}
	if !m.root.set(path, string(text)) {
		return bad("The part %q contradicts another one", name)
	}
	return nil
}

// json returns the metadata, nothing if there is none.
func (m *metadataParts) json() ([]byte, error) {
	if m.root == nil {
		return m.whole, nil
	}
	b := m.root.append(nil)
	if !json.Valid(b) {
		return nil, bad("Metadata is not valid JSON")
	}
	return b, nil
}

// step is a part of a name.
type step struct {
	name    string
	element bool // [], the next element of an array
	dotted  bool // so a number may be the place of an element
}

// splitName splits the name of a part into steps. A name in brackets may itself hold
// brackets.
func splitName(name string) ([]step, error) {
	rest := name[len(metadataName):]
	var names []string
	brackets := rest[0] == '['
	if brackets {
		inner, ok := strings.CutSuffix(rest[1:], "]")
		if !ok {
			return nil, bad("The part %q is not one of metadata", name)
		}
		names = strings.Split(inner, "][")
	} else {
		names = strings.Split(rest[1:], ".")
	}
	if len(names) > maxPath {
		return nil, bad("Metadata is nested too deep")
	}
	path := make([]step, len(names))
	for i, n := range names {
		path[i] = step{name: n, element: brackets && n == "", dotted: !brackets}
	}
	return path, nil
}

// node is a value in metadata: a text, an object whose members have names, or an array
// of elements that were appended.
type node struct {
	isText   bool
	text     string
	names    []string // in the order in which they came
	dotted   bool     // all of them
	members  map[string]*node
	elements []*node
}

// set puts a text where path leads. It reports false if that contradicts what is
// there.
func (n *node) set(path []step, text string) bool {
	if len(path) == 0 {
		if n.isText || n.members != nil || n.elements != nil {
			return false
		}
		n.isText, n.text = true, text
		return true
	}
	if n.isText {
		return false
	}
	if path[0].element {
		return n.setElement(path[1:], text)
	}
	if n.elements != nil {
		return false
	}
	member := n.members[path[0].name]
	if member == nil {
		member = new(node)
		if n.members == nil {
			n.members, n.dotted = map[string]*node{}, true
		}
		n.dotted = n.dotted && path[0].dotted
		n.members[path[0].name] = member
		n.names = append(n.names, path[0].name)
	}
	return member.set(path[1:], text)
}

// setElement puts a text in the last element, or in a new one if it has no place
// there.
func (n *node) setElement(path []step, text string) bool {
	if n.members != nil {
		return false
	}
	if k := len(n.elements); k > 0 && len(path) > 0 && !n.elements[k-1].has(path) {
		return n.elements[k-1].set(path, text)
	}
	element := new(node)
	n.elements = append(n.elements, element)
	return element.set(path, text)
}

// has reports whether there is something where path leads, or in its way. There
// always is room at the end of an array.
func (n *node) has(path []step) bool {
	switch {
	case len(path) == 0 || n.isText:
		return true
	case path[0].element:
		return n.members != nil
	case n.elements != nil:
		return true
	}
	member := n.members[path[0].name]
	return member != nil && member.has(path[1:])
}

// append appends the JSON of the node.
func (n *node) append(b []byte) []byte {
	switch {
	case n.isText:
		return appendGuess(b, n.text)
	case n.elements != nil:
		return appendArray(b, n.elements)
	}
	if elements := n.numbered(); elements != nil {
		return appendArray(b, elements)
	}
	b = append(b, '{')
	for i, name := range n.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = n.members[name].append(b)
	}
	return append(b, '}')
}

func appendArray(b []byte, elements []*node) []byte {
	b = append(b, '[')
	for i, e := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.append(b)
	}
	return append(b, ']')
}

// numbered returns the members if their names are 0, 1, 2 and so on, in dots.
func (n *node) numbered() []*node {
	if !n.dotted {
		return nil
	}
	elements := make([]*node, len(n.names))
	for i := range elements {
		elements[i] = n.members[strconv.Itoa(i)]
		if elements[i] == nil {
			return nil
		}
	}
	return elements
}

// appendGuess appends what a text most likely was.
func appendGuess(b []byte, text string) []byte {
	if text == "true" || text == "false" || text == "null" || isNumber(text) {
		return append(b, text...)
	}
	return appendString(b, text)
}

// isNumber reports whether text is how a number is spelled by the SDKs.
func isNumber(text string) bool {
	if text == "" || len(text) > 32 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return false
	}
	if strconv.FormatFloat(f, 'f', -1, 64) == text {
		return true
	}
	// JavaScript writes 1e+21 and 1e-7, where Go has 1e-07.
	mantissa, exponent, ok := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	return ok && mantissa+"e"+exponent[:1]+strings.TrimLeft(exponent[1:], "0") == text
}
