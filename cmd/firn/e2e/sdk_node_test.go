package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// TestTypeScriptSDK calls all that the official SDK has for KV; what it expects
// stands in testdata/sdk.mjs.
func TestTypeScriptSDK(t *testing.T) {
	t.Parallel()
	modules := nodeModules(t)
	server := serve(t, t.TempDir())
	cmd := exec.CommandContext(soon(t), "node", script(t, "sdk.mjs"), modules, account)
	cmd.Env = append(os.Environ(), "CLOUDFLARE_BASE_URL="+server.api(), "CLOUDFLARE_API_TOKEN="+token)
	if _, err := run(cmd); err != nil {
		t.Error(err)
	}
}
