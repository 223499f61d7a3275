package auth

import "regexp"

// Grant is what a token allows. The zero value allows nothing. In place of its
// id, the title of a namespace that does not exist yet may be asked for.
type Grant struct {
	token *token
	title func(id string) (string, bool)
}

// Name returns the name of the token, for logs.
func (g Grant) Name() string {
	if g.token == nil {
		return ""
	}
	return g.token.name
}

// Read reports whether the pairs of the namespace with that id may be read.
func (g Grant) Read(namespaceID string) bool {
	return g.token != nil && g.token.read && g.covers(namespaceID)
}

// Write reports whether pairs of the namespace with that id may be written and
// deleted.
func (g Grant) Write(namespaceID string) bool {
	return g.token != nil && g.token.write && g.covers(namespaceID)
}

// Manage reports whether namespaces may be listed, created, renamed and deleted.
func (g Grant) Manage() bool { return g.token != nil && g.token.manage }

func (g Grant) covers(id string) bool {
	switch t := g.token; {
	case t.all || t.ids[id] || t.titles[id]: // no title here has the form of an id
		return true
	case len(t.titles) == 0 || g.title == nil:
		return false
	}
	title, ok := g.title(id)
	return ok && g.token.titles[title]
}

// token is what is known of a token. It is never changed.
type token struct {
	name                string
	read, write, manage bool

	all    bool // namespaces
	ids    map[string]bool
	titles map[string]bool
}

// full returns a token that allows everything.
func full(name string) *token {
	return &token{name: name, read: true, write: true, manage: true, all: true}
}

var isID = regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString

func (t *token) addNamespace(name string) {
	switch {
	case name == AllNamespaces:
		t.all = true
	case isID(name):
		t.ids[name] = true
	default:
		t.titles[name] = true
	}
}
