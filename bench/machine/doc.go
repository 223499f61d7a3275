// Package machine tells what measurements depend on: the machine, how fast its
// disk syncs, and what a process takes of it. Outside Linux much of that is not
// known; it is 0 or empty then.
package machine
