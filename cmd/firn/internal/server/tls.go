package server

import (
	"crypto/tls"
	"log/slog"

	"github.com/firnkv/firn/cmd/firn/internal/reload"
)

// Certificate is a certificate with its key, read again when the files change.
type Certificate struct {
	files *reload.Files[*tls.Certificate]
}

// LoadCertificate reads a chain of certificates and a key, in PEM. If the files
// are bad later on, the certificate stays as it was.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	files, err := reload.New(log, func(contents [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		return &pair, err
	}, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &Certificate{files}, nil
}

// Reload reads the files now.
func (c *Certificate) Reload() { c.files.Reload() }

// Config returns a configuration of TLS with the certificate of the moment.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.files.Get(), nil },
		NextProtos:     []string{"http/1.1"},
	}
}
