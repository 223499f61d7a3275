package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What an entry may allow.
const (
	Read   = "read"
	Write  = "write"
	Manage = "manage"
)

// AllNamespaces is in place of the names of namespaces.
const AllNamespaces = "*"

// Entry is a line of the file of tokens.
type Entry struct {
	Name       string    `json:"name"`
	SHA256     string    `json:"sha256"` // of the token, in hexadecimal digits
	Allow      []string  `json:"allow"`
	Namespaces []string  `json:"namespaces"`
	Created    time.Time `json:"created,omitzero"` // zero: nobody knows
}

// NewSecret returns a new token: 130 random bits. The prefix lets those who
// search texts for secrets find it.
func NewSecret() string { return "firn_" + rand.Text() }

type hash [sha256.Size]byte

func hashOf(secret string) hash { return sha256.Sum256([]byte(secret)) }

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// tokens are the known ones.
type tokens map[hash]*token

// parse returns the tokens of a file.
func parse(content []byte) (tokens, error) {
	all := tokens{}
	err := eachEntry(content, func(e *Entry) error {
		h, t, err := e.token()
		if err == nil && all[h] != nil {
			err = fmt.Errorf("%q and %q have the same hash", all[h].name, e.Name)
		}
		all[h] = t
		return err
	})
	return all, err
}

func eachEntry(content []byte, do func(*Entry) error) error {
	number := 0
	for line := range bytes.Lines(content) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line)
		if err == nil {
			err = do(e)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

func parseEntry(line []byte) (*Entry, error) {
	var e Entry
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("something follows the JSON object")
	}
	return &e, nil
}

// token checks the entry and returns what it says.
func (e *Entry) token() (hash, *token, error) {
	if e.Name == "" {
		return hash{}, nil, errors.New("a token needs a name")
	}
	sum, err := hex.DecodeString(e.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return hash{}, nil, fmt.Errorf("token %q: sha256 has to be 64 hexadecimal digits", e.Name)
	}
	if hash(sum) == hashOf("") {
		return hash{}, nil, fmt.Errorf("token %q: sha256 is that of an empty token, which everybody has", e.Name)
	}
	t := &token{name: e.Name, ids: map[string]bool{}, titles: map[string]bool{}}
	for _, what := range e.Allow {
		switch what {
		case Read:
			t.read = true
		case Write:
			t.write = true
		case Manage:
			t.manage = true
		default:
			return hash{}, nil, fmt.Errorf("token %q: allow %q: it is %s, %s or %s", e.Name, what, Read, Write, Manage)
		}
	}
	if slices.Contains(e.Namespaces, "") {
		return hash{}, nil, fmt.Errorf("token %q: the name of a namespace is empty", e.Name)
	}
	for _, name := range e.Namespaces {
		t.addNamespace(name)
	}
	switch {
	case len(e.Allow) == 0:
		err = fmt.Errorf("token %q allows nothing", e.Name)
	case len(e.Namespaces) == 0:
		err = fmt.Errorf("token %q is for no namespace; %q means all", e.Name, AllNamespaces)
	case t.manage && !t.all:
		err = fmt.Errorf("token %q: %s is for all namespaces only", e.Name, Manage)
	}
	return hash(sum), t, err
}
