package api

import (
	"errors"

	"github.com/firnkv/firn/engine"
	"github.com/firnkv/firn/engine/namespaces"
)

// access is what a request wants of a namespace.
type access int

const (
	reading access = iota
	deleting
	putting // makes the namespace "default" if it is not there
)

// open returns the store of the namespace that the request is about, which stays
// open until release. What it may do is checked first.
//
// The store is nil if it is that of the namespace "default", nobody has written to
// it yet, and this is no put: it is to be taken as empty.
func (x *exchange) open(name string, a access) (*engine.Store, error) {
	var err error
	if x.binding {
		x.lease, err = x.leaseNamed(name, a)
	} else {
		x.lease, err = x.leaseID(name, a)
	}
	if err != nil || x.lease == nil {
		return nil, err
	}
	x.namespace = x.lease.Namespace().ID
	return x.lease.Store(), nil
}

// release gives the lease back, if there is one.
func (x *exchange) release() {
	if x.lease != nil {
		x.lease.Release()
		x.lease = nil
	}
}

func (x *exchange) may(id string, a access) error {
	if a == reading {
		return x.mayRead(id)
	}
	return x.mayWrite(id)
}

func (x *exchange) leaseID(id string, a access) (*namespaces.Lease, error) {
	if err := x.may(id, a); err != nil {
		return nil, err
	}
	return x.h.Pool.Acquire(x.ctx, id)
}

// leaseNamed is leaseID for an id or a title. A put makes the namespace "default";
// to others there is no lease of it until then.
func (x *exchange) leaseNamed(name string, a access) (*namespaces.Lease, error) {
	ns, err := x.h.Pool.Resolve(x.ctx, name)
	if err == nil {
		return x.leaseID(ns.ID, a)
	}
	if !errors.Is(err, namespaces.ErrNotExist) {
		return nil, err
	}
	// Whoever may not use it does not get to know whether it is there.
	if err := x.may(name, a); err != nil {
		return nil, err
	}
	switch {
	case name != namespaces.DefaultTitle:
		return nil, err
	case a == putting:
		return x.h.Pool.AcquireDefault(x.ctx)
	}
	return nil, nil
}
