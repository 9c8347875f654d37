package transfer

import (
	"io/fs"
	"syscall"
)

func stateOf(info fs.FileInfo) state {
	s := state{Size: info.Size(), Written: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Device, s.Inode, s.Changed = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	}
	return s
}
