// Package workerd runs a Worker in workerd, the runtime of Workers, with
// namespaces of a server bound to it: it finds the program, writes a
// configuration for it, and runs it.
package workerd
