// Package namespaces owns the data directory of the command line and of the
// server: several namespaces, each a store of its own, and the registry of
// their titles.
//
//	DIR/registry/          the registry, a store
//	DIR/namespaces/<id>/   the store of the namespace with that id
//
// An id is 32 lower-case hexadecimal digits, drawn at random. The registry
// holds two pairs for each namespace:
//
//	title:<title>   {"id": "<id>", "title": "<title>", "created": "<RFC 3339>"}
//	id:<id>         <title>
//
// A namespace is named by its title or by its id; if a title is spelled like
// the id of another namespace, the id wins.
//
// The store of a namespace is made before its pairs are put, in one batch: a
// crash in between leaves an empty store without a name, and never a name
// without a store. A delete first renames the store to <id>.deleted, then
// removes the pairs, then the files; what a crash leaves of the files is
// removed by the next change of the registry.
//
// Whoever opens the store of a namespace holds the registry open for reading
// in the meantime, and whoever creates or deletes one holds it for writing.
// So nobody opens a store that is on its way out. Both last for a moment, so
// an opener waits for the registry, and for a store that is in use, a few
// seconds.
//
// A directory that is a store itself, made by a program that embeds package
// engine, is taken as one namespace without a title. It has no registry.
package namespaces
