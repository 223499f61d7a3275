package command

import (
	"log/slog"
	"os"
	"time"

	"github.com/firnkv/firn/cmd/firn/internal/auth"
	"github.com/firnkv/firn/cmd/firn/internal/server"
	"github.com/spf13/cobra"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	addr, addrFile  string
	admin           string
	metrics         bool
	tokens          string
	tlsCert, tlsKey string
	connections     int
	shutdownTimeout time.Duration
	log             logFlags
	logKeys         bool
}

func newServe(a *app) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a data directory over HTTP",
		Long: `serve answers the REST API of Workers KV, and the requests that the bindings of the
runtime make, with the namespaces of the data directory. As long as it runs, other
commands have no access to them, but those of "firn kv" have with --url.

Without tokens, it listens on addresses that only this machine reaches, and lets
everybody there do everything. Tokens come from the file that --tokens names, which
"firn token create" appends to and which is read again when it changes, and from
$FIRN_TOKEN, which is one that allows everything.

/healthz answers as long as the process works, and /readyz while requests should be sent
to it. SIGHUP has the files of tokens and certificates read at once. On SIGINT or SIGTERM
it finishes the requests under way, closes everything, and ends with exit status 0; a
second signal ends it at once.`,
		Example: `  firn serve
  firn token create app --read --write --tokens tokens
  firn serve --tokens tokens --addr 0.0.0.0:8787 --tls-cert cert.pem --tls-key key.pem
  firn serve --addr unix:/run/firn/socket --admin 127.0.0.1:9787`,
		Args: positional(nil),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.newDaemon(cmd, &f)
			if err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8787", "listen on `HOST:PORT` or unix:PATH; port 0 is a free one")
	flags.StringVar(&f.addrFile, "addr-file", "", "write the address to `FILE` when requests are answered")
	flags.StringVar(&f.tokens, "tokens", "", "`FILE` of tokens that are let in")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "`FILE` of certificates for TLS, in PEM; read again when it changes")
	flags.StringVar(&f.tlsKey, "tls-key", "", "`FILE` of the key for TLS, in PEM")
	flags.StringVar(&f.admin, "admin", "", "listen on `HOST:PORT` of this machine for /metrics and /debug/pprof, without tokens")
	flags.BoolVar(&f.metrics, "metrics", false, "answer /metrics on --addr too, to tokens with manage")
	flags.IntVar(&f.connections, "max-connections", 4096, "`number` of connections at a time; for one more, an idle one is closed, or it has to wait")
	flags.DurationVar(&f.shutdownTimeout, "shutdown-timeout", 30*time.Second, "`duration` that requests under way may take when it ends")
	f.log.add(flags)
	flags.BoolVar(&f.logKeys, "log-keys", false, "let keys appear in the log of requests, which --log-level debug has")
	return cmd
}

// newDaemon checks the flags and reads the files that they name. Nothing is
// listened on yet.
func (a *app) newDaemon(cmd *cobra.Command, f *serveFlags) (*daemon, error) {
	if err := refuseEmpty(cmd, "addr", "addr-file", "tokens", "tls-cert", "tls-key", "admin"); err != nil {
		return nil, err
	}
	if f.connections < 1 {
		return nil, usage(cmd, "--max-connections is at least 1")
	}
	log, err := f.log.logger(cmd, a.err)
	if err != nil {
		return nil, err
	}
	d := &daemon{
		dir: a.directoryWith(log), log: log, logKeys: f.logKeys,
		addrFile: f.addrFile, metricsHere: f.metrics, reloads: true,
		limits: server.Limits{Connections: f.connections}, shutdownTimeout: f.shutdownTimeout,
	}
	if err := d.setAddresses(cmd, f); err != nil {
		return nil, err
	}
	if err := d.setTokens(cmd, f.tokens, log); err != nil {
		return nil, err
	}
	return d, d.setCertificate(cmd, f)
}

func (d *daemon) setAddresses(cmd *cobra.Command, f *serveFlags) (err error) {
	if d.addr, err = server.ParseAddress(f.addr); err != nil {
		return usage(cmd, "--addr: %v", err)
	}
	if f.admin == "" {
		return nil
	}
	admin, err := server.ParseAddress(f.admin)
	if err == nil {
		err = admin.CheckLoopback()
	}
	if err != nil {
		return usage(cmd, "--admin: %v", err)
	}
	d.admin = &admin
	return nil
}

// shortSecret is what a token of the environment should be longer than, in bytes:
// anything shorter may well be guessed.
const shortSecret = 20

func (d *daemon) setTokens(cmd *cobra.Command, file string, log *slog.Logger) (err error) {
	secret := os.Getenv("FIRN_TOKEN")
	if file == "" && secret == "" {
		if !d.addr.Loopback() && !d.addr.Unix() {
			return usage(cmd, "without tokens, --addr has to be an address that only this machine reaches, and %s is not; "+
				`"firn token create" makes a token, and --tokens lets it in`, d.addr)
		}
		d.keys = auth.Open()
		return nil
	}
	if secret != "" && len(secret) < shortSecret {
		log.Warn("FIRN_TOKEN is short, so it may be guessed", "bytes", len(secret))
	}
	d.keys, err = auth.New(auth.Config{File: file, Secret: secret, Title: d.title, Log: log})
	return err
}

func (d *daemon) setCertificate(cmd *cobra.Command, f *serveFlags) (err error) {
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return usage(cmd, "--tls-cert and --tls-key need each other")
	}
	if f.tlsCert != "" {
		d.cert, err = server.LoadCertificate(f.tlsCert, f.tlsKey, d.log)
	}
	return err
}
