package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOnlyWhoReadsTheDataFolderNamesFolders(t *testing.T) {
	dir := strings.ReplaceAll(t.TempDir(), `\`, `\\`)
	for name, tt := range map[string]struct {
		token, header, dir string
		status             int
	}{
		"with the token":               {"secret", "Bearer secret", dir, 202},
		"with another token":           {"secret", "Bearer secreT", dir, 403},
		"without a token":              {"secret", "", dir, 403},
		"where the server has none":    {"", "Bearer ", dir, 403},
		"a relative folder":            {"secret", "Bearer secret", "work", 400},
		"a folder that is not there":   {"secret", "Bearer secret", dir + "/nope", 400},
		"a device instead of a folder": {"secret", "Bearer secret", "/dev/null", 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Token = tt.token })
			req := httptest.NewRequest(http.MethodPost, "http://localhost/api/v1/jobs", strings.NewReader(`{"config":"a: 1","dir":"`+tt.dir+`"}`))
			req.Header.Set("Content-Type", "application/json")
			if tt.header != "" {
				req.Header.Set("Authorization", tt.header)
			}
			res := httptest.NewRecorder()
			w.Server.Handler().ServeHTTP(res, req)
			if res.Code != tt.status {
				t.Errorf("answered %d: %s", res.Code, res.Body)
			}
		})
	}
}
