// Package namespaces owns the data directory of the command line and of the
// server: several namespaces, each a store of its own, and the registry of
// their titles.
//
//	DIR/registry/          the registry, a store
//	DIR/namespaces/<id>/   the store of the namespace with that id
//
// An id is 32 lower-case hexadecimal digits, drawn at random. The registry
// holds two pairs for each namespace, and one for each that is deleted and whose
// files have yet to go:
//
//	title:<title>   {"id": "<id>", "title": "<title>", "created": "<RFC 3339>"}
//	id:<id>         <title>
//	deleted:<id>    <title>
//
// A namespace is named by its title or by its id; if a title is spelled like
// the id of another namespace, the id wins.
//
// The registry is always written with [engine.SyncAlways], whatever the stores of
// namespaces are.
//
// # Create and delete
//
// The store of a namespace is made before its pairs are put, in one batch: a
// crash in between leaves an empty store without a name, and never a name
// without a store. So does a failed sync of the registry, after which the name may
// come back; after other errors the store is removed again.
//
// A delete is one batch: the two pairs go, and the third comes. From then on the
// namespace does not exist, whatever happens. What follows may wait for as long as
// somebody has the store open:
//
//  1. The store is closed, and its lock is free. Windows renames no directory in
//     which a file is open, and nobody's files are to go under his hands.
//  2. Its directory is renamed to <id>.deleted, which is made durable. Salvage goes
//     by directories, and must not take for a store what is half removed.
//  3. The files are removed.
//  4. The third pair is deleted.
//
// Each step may be done again. What a crash leaves, or what could not be removed, is
// removed by the next change of the registry, or when a pool is opened. Files that
// still cannot be removed then are logged, and in nobody's way.
//
// # Commands, and programs that stay
//
// The methods of [Directory] open what they need and close it again. Whoever opens
// the store of a namespace holds the registry open for reading in the meantime, and
// whoever creates or deletes one holds it for writing. So nobody opens a store that
// is on its way out. Both last for a moment, so an opener waits for the registry, and
// for a store that is in use, a few seconds.
//
// A [Pool] holds the registry for writing all the time. It has the stores open that
// are in use, and hands out leases of them. A thousand namespaces that nobody uses
// take less than 1 MiB of memory, and no file descriptors.
//
// A directory that is a store itself, made by a program that embeds package
// engine, is taken as one namespace without a title. It has no registry.
package namespaces
