//go:build !unix

package disk

import "testing"

// endless are names that are no regular files.
func endless(t *testing.T, dir string) map[string]string {
	t.Helper()
	return map[string]string{"a folder": dir}
}
