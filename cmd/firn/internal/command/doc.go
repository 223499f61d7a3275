// Package command is the command line of firn: its grammar, and what each
// command does. A file holds one command, named as it is typed. Those of kv have one
// body for a data directory and for a server.
//
// Results go to standard output and everything else to standard error. The
// exit status is 0 for done, 1 for failed or not found, and 2 if the command
// line could not be understood, in which case nothing was opened.
package command
