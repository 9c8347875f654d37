package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"triality/runtime/hub/hubtest"
)

// hubs are the hubs of the scripts under way.
var hubs sync.Map

// hubServer is a script's hub. hub start [TOKEN] starts it and points the environment at it; hub put
// REPO FOLDER commits a folder, as $COMMIT; hub fail STATUS PATH fails the next request for a path; hub
// cut BYTES breaks the connection of the next large file; hub stop ends it.
func hubServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hub start [TOKEN] | put REPO FOLDER | fail STATUS PATH | cut BYTES | stop")
	}
	if args[0] == "start" {
		server := hubtest.New()
		ts.Defer(server.Close)
		if len(args) == 2 {
			server.Token = args[1]
		}
		hubs.Store(ts, server)
		ts.Defer(func() { hubs.Delete(ts) })
		ts.Setenv("HF_ENDPOINT", server.URL)
		ts.Setenv("HF_HOME", ts.MkAbs("hf"))
		return
	}
	held, ok := hubs.Load(ts)
	if !ok {
		ts.Fatalf("hub start comes first")
	}
	server := held.(*hubtest.Server)
	switch {
	case args[0] == "put" && len(args) == 3:
		files := map[string][]byte{}
		dir := ts.MkAbs(args[2])
		ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
			return err
		}))
		ts.Setenv("COMMIT", server.Put(args[1], "main", files))
	case args[0] == "fail" && len(args) == 3:
		status, err := strconv.Atoi(args[1])
		ts.Check(err)
		server.Fail(hubtest.Fault{Status: status, Path: args[2]})
	case args[0] == "cut" && len(args) == 2:
		at, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		server.Fail(hubtest.Fault{Storage: true, CutAt: at})
	case args[0] == "stop":
		server.Close()
	default:
		ts.Fatalf("hub has no %v", args)
	}
}
