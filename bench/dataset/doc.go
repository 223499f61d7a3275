// Package dataset makes what goes into stores under measurement: keys and values,
// and the order in which they are asked for. Everything in it is the same in
// every run and every process, so that all stores get the same.
//
// There are three kinds of data. JSON documents and incompressible bytes are made
// up, for any number of keys. Pairs are real, from a file.
package dataset
