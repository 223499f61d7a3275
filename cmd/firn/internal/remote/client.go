package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	// Authorities vouch for the certificate of the server. nil: those of the system.
	Authorities *x509.CertPool
	// Transport sends the requests. nil: one with timeouts for connections and
	// for the beginning of answers, and with the proxy of the environment for https.
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

const unixScheme = "unix"

// ParseURL parses the base URL of the API. If it has no path, that is /client/v4.
// "unix:PATH" is the server on a Unix socket, as it names its address itself.
func ParseURL(text string) (*url.URL, error) {
	if path, ok := strings.CutPrefix(text, unixScheme+":"); ok {
		if path == "" {
			return nil, errors.New("the path of the socket is missing")
		}
		return &url.URL{Scheme: unixScheme, Opaque: path}, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("it is not http://HOST:PORT, https://HOST or unix:PATH")
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
		c.Transport = newTransport(c.URL, c.Authorities)
	}
	base, name := c.URL.String(), c.URL.Scheme+"://"+c.URL.Host
	if c.URL.Scheme == unixScheme {
		base, name = "http://localhost"+defaultPath, c.URL.String()
	}
	return &Client{
		base:  fmt.Sprintf("%s/accounts/%s/storage/kv/namespaces", base, url.PathEscape(c.Account)),
		name:  name,
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

func newTransport(u *url.URL, authorities *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Timeout: dialTimeout}
	t.DialContext = dialer.DialContext
	if u.Scheme != "https" {
		t.Proxy = nil // it could read the token
	}
	if u.Scheme == unixScheme {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Opaque)
		}
	}
	if authorities != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: authorities}
	}
	t.ResponseHeaderTimeout = answerTimeout
	// An answer that is not compressed has a length, which tells if it breaks off.
	t.DisableCompression = true
	return t
}
