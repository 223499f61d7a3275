package auth

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: who may read a file follows from its directory.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }
