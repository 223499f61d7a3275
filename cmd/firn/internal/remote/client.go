package remote

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where a server is, and who asks.
type Config struct {
	// URL is the base of the API, as ParseURL returns it.
	URL *url.URL
	// Account is the id of the account. Firn takes any.
	Account string
	// Token is what the server lets in; empty: none is sent.
	Token string
	// Transport sends the requests. nil: one with timeouts for connections and
	// for the beginning of answers.
	Transport http.RoundTripper
}

// Client speaks with a server. It is safe for concurrent use.
type Client struct {
	base  string // of all that is about namespaces
	name  string // of the server, in errors
	token string
	http  *http.Client
}

// defaultPath is where the API is if a URL does not say.
const defaultPath = "/client/v4"

// ParseURL parses the base URL of the API. If it has no path, that is /client/v4.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it is not http://HOST:PORT or https://HOST")
	case u.User != nil:
		return nil, errors.New("it has a user name; a token says who asks")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it has more than a host and a path")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if path == "" {
		path = defaultPath
	}
	return url.Parse(u.Scheme + "://" + u.Host + path)
}

// Exposed reports whether others may read what is sent to u.
func Exposed(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip := net.ParseIP(host)
	local := ip != nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
	return u.Scheme == "http" && !local
}

// New returns a client. Nothing is sent yet.
func New(c Config) (*Client, error) {
	for _, b := range []byte(c.Token) {
		if b <= ' ' || b > '~' {
			return nil, errors.New("the token has a byte in it that no token has")
		}
	}
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	return &Client{
		base:  fmt.Sprintf("%s/accounts/%s/storage/kv/namespaces", c.URL, url.PathEscape(c.Account)),
		name:  c.URL.Scheme + "://" + c.URL.Host,
		token: c.Token,
		http: &http.Client{
			Transport:     c.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

const (
	dialTimeout = 10 * time.Second
	// answerTimeout is how long an answer may take to begin, from the end of the
	// request on. Firn has bulk requests wait for each other, 30 s at most.
	answerTimeout = 2 * time.Minute
)

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	t.ResponseHeaderTimeout = answerTimeout
	// An answer that is not compressed has a length, which tells if it breaks off.
	t.DisableCompression = true
	return t
}
