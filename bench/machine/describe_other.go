//go:build !linux

package machine

func describeSystem(*Description, string) {}
