package auth

import (
	"log/slog"

	"github.com/firnkv/firn/cmd/firn/internal/reload"
)

// Config says where the tokens come from.
type Config struct {
	// File is the path of a file of tokens. It is read again when it changes;
	// if it cannot be read or understood then, the tokens stay as they were.
	// Empty: there is none.
	File string

	// Secret is a token that allows everything. Empty: there is none.
	Secret string

	// Title returns the title of the namespace with an id. It is asked where a
	// token is for namespaces by title, and has to be safe for concurrent use.
	Title func(id string) (title string, ok bool)

	// Log receives that the file has changed, and what is wrong with it.
	Log *slog.Logger
}

// Keyring knows the tokens. Its methods are safe for concurrent use.
type Keyring struct {
	anybody *token // what everybody is allowed; nil: nothing
	fixed   tokens
	file    *reload.Files[tokens] // nil: none
	title   func(id string) (string, bool)
}

// New returns a keyring. It fails if the file cannot be read or understood.
func New(c Config) (*Keyring, error) {
	k := &Keyring{fixed: tokens{}, title: c.Title}
	if c.Secret != "" {
		k.fixed[hashOf(c.Secret)] = full("environment")
	}
	if c.File == "" {
		return k, nil
	}
	var err error
	k.file, err = reload.New(c.Log, func(contents [][]byte) (tokens, error) { return parse(contents[0]) }, c.File)
	return k, err
}

// Open returns a keyring that lets everybody do everything.
func Open() *Keyring { return &Keyring{anybody: full("")} }

// Open reports whether the keyring lets everybody do everything.
func (k *Keyring) Open() bool { return k.anybody != nil }

// Authorize returns what the token allows, and whether it is one that is known.
func (k *Keyring) Authorize(secret string) (Grant, bool) {
	if k.anybody != nil {
		return Grant{token: k.anybody}, true
	}
	h := hashOf(secret)
	t := k.fixed[h]
	if t == nil && k.file != nil {
		t = k.file.Get()[h]
	}
	return Grant{t, k.title}, t != nil
}

// Reload reads the file of tokens now.
func (k *Keyring) Reload() {
	if k.file != nil {
		k.file.Reload()
	}
}
