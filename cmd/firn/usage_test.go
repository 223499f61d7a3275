package main_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestRootHelp(t *testing.T) {
	f := newFirn(t)
	got := f.ok("--help")
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("the help differs from %s (-update rewrites it):\n%s", golden, got)
	}
	if again := f.ok("help"); again != got {
		t.Errorf("help differs from --help:\n%s", again)
	}
}

var listedCommand = regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`)

// TestHelpOfEveryCommand walks from help to help.
func TestHelpOfEveryCommand(t *testing.T) {
	f := newFirn(t)
	count := 0
	var walk func(path ...string)
	walk = func(path ...string) {
		count++
		help := f.ok(append(path, "--help")...)
		if !strings.Contains(help, "\nExamples:\n  ") {
			t.Errorf("firn %q: the help has no example:\n%s", path, help)
		}
		commands, _, _ := strings.Cut(help, "\nFlags:")
		_, commands, found := strings.Cut(commands, "\nCommands:")
		if !found {
			return
		}
		for _, match := range listedCommand.FindAllStringSubmatch(commands, -1) {
			walk(append(path[:len(path):len(path)], match[1])...)
		}
	}
	walk()
	if count < 20 {
		t.Errorf("found only %d commands", count)
	}
}

func TestWrongUsage(t *testing.T) {
	f := newFirn(t)
	for line, want := range map[string]string{
		"kvv":                                   `did you mean "kv"?`,
		"kv kye put a b":                        `unknown command "kye" for "firn kv"; did you mean "key"?`,
		"kv kye list --prefix a":                `did you mean "key"?`,
		"kv key lsit":                           `did you mean "list"?`,
		"kv key xyzzy":                          `unknown command "xyzzy"`,
		"get a":                                 `"firn kv key get", "firn kv bulk get"`,
		"kv key list --prefx a":                 `unknown flag --prefx; did you mean "--prefix"?`,
		"kv key list --perfix=a":                `did you mean "--prefix"?`,
		"kv --nmespace a key list":              `did you mean "--namespace"?`,
		"kv key list --limit":                   `flag needs an argument: --limit`,
		"kv key list --limit x":                 `invalid argument "x" for "--limit"`,
		"kv key list --limit 0":                 `at least 1`,
		"kv key list a":                         `too many arguments: "a"`,
		"kv key get":                            `KEY is missing`,
		"kv key delete":                         `KEY is missing`,
		"kv key get a b":                        `too many arguments: "b"`,
		"kv key put":                            `KEY is missing`,
		"kv key put a":                          `VALUE is missing`,
		"kv key put a b c":                      `too many arguments: "c"`,
		"kv key put a b --path -":               `given twice`,
		"kv key put a -5":                       `write "--"`,
		"kv key put a b --ttl 0":                `--ttl 0 is out of range`,
		"kv key put a b --ttl -60":              `--ttl -60 is out of range`,
		"kv key put a b --ttl 9999999999999":    `out of range`,
		"kv key put a b --expiration 0":         `in the past`,
		"kv key put a b --metadata x":           `not JSON`,
		"kv key list --namespace=":              `--namespace is empty`,
		"kv key list --dir=":                    `--dir is empty`,
		"kv key list --url=":                    `--url is empty`,
		"kv key list --url localhost:8787":      `not http://HOST:PORT`,
		"kv key list --url ftp://localhost":     `not http://HOST:PORT`,
		"kv key list --url http://a:b@c":        `has a user name`,
		"kv key list --url http://a?b":          `more than a host and a path`,
		"kv key list --url http://a --dir b":    `exclude each other`,
		"kv key list --url unix:":               `path of the socket is missing`,
		"kv key list --url unix:a --ca-file=":   `--ca-file is empty`,
		"kv key list --token-file a":            `for a server`,
		"kv key list --ca-file a":               `for a server`,
		"kv key list --account a":               `for a server`,
		"kv key list --url http://a --account=": `--account is empty`,
		"stats --url http://a":                  `unknown flag --url`,
		"kv bulk put":                           `FILE is missing`,
		"kv namespace create":                   `TITLE is missing`,
		"kv namespace rename a":                 `NEW-TITLE is missing`,
		"kv namespace delete a":                 `--yes`,
		"stats a":                               `too many arguments`,
		"compact a":                             `too many arguments`,
		"backup":                                `DEST is missing`,
		"backup a b":                            `too many arguments: "b"`,
		"restore":                               `SRC is missing`,
		"restor a":                              `did you mean "restore"?`,
		"help kv kye":                           `did you mean "key"?`,
		"bench comprae a b":                     `did you mean "compare"?`,
		"bench --keys 0":                        `invalid argument "0" for "--keys" flag: it is a number of at least 1`,
		"bench --rounds 0":                      `"--rounds" flag: it is a number of at least 1`,
		"bench --only (":                        `--only: `,
		"bench --only xyzzy":                    `no workload has a name that matches "xyzzy"`,
		"bench --data a --random":               `exclude each other`,
		"bench compare a":                       `NEW is missing`,
		"bench compare a b --alpha 2":           `--alpha is between 0 and 1`,
		"completion bsh":                        `did you mean "bash"?`,
		"serve a":                               `too many arguments`,
		"serve --addr=":                         `--addr is empty`,
		"serve --tokens=":                       `--tokens is empty`,
		"serve --addr 8787":                     `not HOST:PORT or unix:PATH`,
		"serve --addr :0":                       `without tokens`,
		"serve --addr [::]:0":                   `without tokens`,
		"serve --admin 0.0.0.0:0":               `not a loopback address`,
		"serve --admin unix:a":                  `not a loopback address`,
		"serve --tls-cert a":                    `need each other`,
		"serve --max-connections 0":             `at least 1`,
		"serve --log-format xml":                `text or json`,
		"serve --log-level loud":                `debug, info, warn or error`,
		"token create":                          `NAME is missing`,
		"token create a --read":                 `--tokens is missing`,
		"token create a --tokens b":             `allow nothing`,
		"token list":                            `--tokens is missing`,
		"token list a":                          `too many arguments`,
		"token delete --tokens a":               `NAME is missing`,
		"token delete a":                        `--tokens is missing`,
		"dev":                                   `SCRIPT is missing`,
		"dev a --bind KV":                       `not NAME=NAMESPACE`,
		"dev a --bind KV=a --bind KV=b":         `bound twice`,
	} {
		f.fails(2, []string{want, "--help\" for usage"}, strings.Fields(line)...)
	}
	for _, line := range []string{"", "kv", "kv key", "kv bulk", "kv namespace", "token", "completion"} {
		f.fails(2, []string{"Usage:"}, strings.Fields(line)...)
	}
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("a wrong command line made a data directory")
	}
}

func TestVersion(t *testing.T) {
	f := newFirn(t)
	text := f.ok("version")
	if !strings.HasPrefix(text, "firn ") || f.ok("--version") != text {
		t.Errorf("got %q", text)
	}
	v := decode[map[string]any](t, f.ok("version", "--json"))
	if v["version"] == "" || v["go"] == "" || v["platform"] == "" {
		t.Errorf("got %v", v)
	}
}
