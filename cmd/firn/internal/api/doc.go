// Package api answers HTTP requests in the two protocols of Workers KV: the REST
// API, under /client/v4, and the binding protocol, in which workerd turns
// env.NAMESPACE.get(…) into plain HTTP. [New] makes one handler for both.
//
// A request with the header Firn-Namespace is one of the binding protocol, for the
// namespace with that id or title, whatever its path; workerd injects the header.
// All others are taken as REST. The namespace "default" is there for the binding
// as soon as somebody writes to it, and reads as empty until then.
//
// # Keys
//
// Requests are routed by the path as it stands in the request line. It is neither
// cleaned nor redirected. In REST, the key is all that follows /values/ or
// /metadata/, in the binding protocol all that follows the first slash; it is
// percent-decoded once.
//
// # Memory
//
// Values are streamed both ways: a put or get takes less than 1 MiB, however long
// the value is. A value that comes before its metadata in a form goes to a temporary
// file when it is longer than 512 KiB, because a store wants the metadata first. A
// bulk write is held in memory once, decoded, since it is to be written as a whole,
// and a bulk read holds its values, of at most 25 MiB. For all of these there are
// so many places, by size; requests wait for one for 30 seconds at most, and the
// client of one that has a place has to send or take 256 KiB a second.
//
// # Errors
//
// A request is read to its end before an error is answered, up to 100,000,000
// bytes: clients that are still sending may not see an answer otherwise. If it is
// refused for who sent it, or for how many there are, less is read. The message is
// in the envelope in REST, and both in the body and in the reason phrase in the
// binding protocol (package phrase). Codes in the envelope:
//
//	7003   no route
//	10000  no token, an unknown one, or one that does not allow this
//	10001  the request is not valid, or over a limit
//	10002  the server has failed; the log says why
//	10009  the key does not exist
//	10013  the namespace does not exist; 400 in the binding protocol, where
//	       the runtime makes null of 404, as of a key that is not there
//	10014  the title is in use
//	10405  the method is not allowed
//	10429  too many requests at once
//	10503  the store takes no writes at the moment, or none at all
//	10507  the disk is full
//
// Nothing is answered to a client that has gone. A put whose body breaks off writes
// nothing. A read that finds damage after the header of the response was sent
// breaks the connection.
package api
