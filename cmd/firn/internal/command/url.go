package command

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/firnkv/firn/cmd/firn/internal/remote"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// urlFlags say which server to work on, if any.
type urlFlags struct {
	url, tokenFile, caFile, account string
}

// defaultAccount is the account of a Firn server, which takes any.
const defaultAccount = "00000000000000000000000000000000"

func (f *urlFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", "", "`URL` of a server to work on, or unix:PATH, instead of a data directory (default $FIRN_URL)")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with a token for the server (default the token $FIRN_TOKEN)")
	flags.StringVar(&f.caFile, "ca-file", "", "`FILE` of certificates that may vouch for the server too, in PEM (default $FIRN_CA_FILE)")
	flags.StringVar(&f.account, "account", "", "`id` of the account on the server (default $FIRN_ACCOUNT; Firn takes any)")
}

// connect sets the client if the command is to work on a server.
func (a *app) connect(cmd *cobra.Command) error {
	if err := refuseEmpty(cmd, "url", "token-file", "ca-file", "account"); err != nil {
		return err
	}
	address, origin := a.server.url, "--url"
	if address == "" && a.dir == "" {
		address, origin = os.Getenv("FIRN_URL"), "FIRN_URL"
	}
	switch {
	case address == "" && a.server.tokenFile+a.server.caFile+a.server.account != "":
		return usage(cmd, "--token-file, --ca-file and --account are for a server, which --url names")
	case address == "":
		return nil
	case a.dir != "":
		return usage(cmd, "--dir and --url exclude each other")
	case origin == "FIRN_URL" && os.Getenv("FIRN_DIR") != "":
		return usage(cmd, "FIRN_DIR and FIRN_URL are both set: say which with --dir or --url")
	}
	u, err := remote.ParseURL(address)
	if err != nil {
		return usage(cmd, "%s %q: %v", origin, address, err)
	}
	token, err := a.server.token()
	if err != nil {
		return err
	}
	if token != "" && remote.Exposed(u) {
		a.note("firn: the token is sent to %s in the clear, for others to read; https would hide it", u.Host)
	}
	authorities, err := a.server.authorities()
	if err != nil {
		return err
	}
	account := cmp.Or(a.server.account, os.Getenv("FIRN_ACCOUNT"), defaultAccount)
	a.client, err = remote.New(remote.Config{URL: u, Account: account, Token: token, Authorities: authorities})
	return err
}

// authorities returns those of the system and of the file, or nil if there is none.
func (f *urlFlags) authorities() (*x509.CertPool, error) {
	file := cmp.Or(f.caFile, os.Getenv("FIRN_CA_FILE"))
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !all.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s has no certificate in it", file)
	}
	return all, nil
}

func (f *urlFlags) token() (string, error) {
	if f.tokenFile == "" {
		return strings.TrimSpace(os.Getenv("FIRN_TOKEN")), nil
	}
	content, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("%s has no token in it", f.tokenFile)
	}
	return token, nil
}
