//go:build !linux

package transfer

import "io/fs"

func stateOf(info fs.FileInfo) state {
	return state{Size: info.Size(), Written: info.ModTime().UnixNano()}
}
