// Package kill kills a process that writes to a store, over and over, and checks
// what it leaves.
//
// The process is the program itself with the argument [ChildArg]. It tells its
// parent through a pipe of each write when that is done and before the next one
// begins, so of each writer at most one step is done that the parent has not
// heard of. What the parent knows is the same after a kill at any instant: a pipe
// keeps what was written to it.
package kill
