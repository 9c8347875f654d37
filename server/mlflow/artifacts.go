package mlflow

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// artifactScheme begins the address of artifacts that are fetched and sent through this server.
const artifactScheme = "mlflow-artifacts:"

// location is where a run's artifacts are: mlflow-artifacts:/EXPERIMENT/RUN/artifacts.
func location(r experiments.Run) string {
	return artifactScheme + "/" + r.ExperimentID + "/" + r.ID + "/artifacts"
}

// files are the files and folders directly in a folder of a run; the top is "".
func (a *API) files(ctx context.Context, id, folder string) ([]file, error) {
	all, err := a.Store.Artifacts(ctx, id)
	if err != nil {
		return nil, noRun(err, id)
	}
	prefix := ""
	if folder = strings.Trim(folder, "/"); folder != "" {
		prefix = folder + "/"
	}
	out := []file{}
	for _, f := range all {
		rest, ok := strings.CutPrefix(f.Path, prefix)
		if !ok {
			continue
		}
		if name, _, deeper := strings.Cut(rest, "/"); !deeper {
			out = append(out, file{Path: f.Path, Size: f.Size})
		} else if at := prefix + name; !slices.ContainsFunc(out, func(o file) bool { return o.Path == at }) {
			out = append(out, file{Path: at, Dir: true})
		}
	}
	return out, nil
}

func (a *API) listArtifacts(ctx context.Context, in struct {
	runRef
	Path text `json:"path"`
}) (any, error) {
	r, err := a.runOf(ctx, in.runRef)
	if err != nil {
		return nil, err
	}
	files, err := a.files(ctx, r.ID, string(in.Path))
	if err != nil {
		return nil, err
	}
	return struct {
		Root  string `json:"root_uri"`
		Files []file `json:"files"`
	}{location(r), files}, nil
}

// place splits EXPERIMENT/RUN/artifacts/PATH.
func place(p string) (run, rest string, err error) {
	parts := strings.SplitN(strings.Trim(p, "/"), "/", 4)
	if len(parts) < 3 || parts[2] != "artifacts" {
		return "", "", invalid("Invalid path: %.200q: want EXPERIMENT/RUN/artifacts/PATH, as a run's artifact_uri has it", p)
	}
	if len(parts) == 4 {
		rest = parts[3]
	}
	return parts[1], rest, nil
}

// proxiedPath is what an address names below the proxy's own.
func proxiedPath(c echo.Context) (string, error) {
	p := c.Param("*")
	if c.Request().URL.RawPath == "" {
		return p, nil // net/http unescaped it already
	}
	out, err := url.PathUnescape(p)
	if err != nil {
		return "", invalid("Invalid path: %v", err)
	}
	return out, nil
}

// proxied lists a folder of those that the proxy serves, with names in place of paths, or gives a file.
func (a *API) proxied(c echo.Context) error {
	at, err := proxiedPath(c)
	if err != nil {
		return err
	}
	if at != "" {
		id, p, err := place(at)
		if err != nil {
			return err
		}
		return a.send(c, id, p)
	}
	id, folder, err := place(c.QueryParam("path"))
	if err != nil {
		return err
	}
	files, err := a.files(c.Request().Context(), id, folder)
	if err != nil {
		return err
	}
	for i := range files {
		files[i].Path = path.Base(files[i].Path)
	}
	return c.JSON(http.StatusOK, map[string][]file{"files": files})
}

func (a *API) upload(c echo.Context) error {
	at, err := proxiedPath(c)
	if err != nil {
		return err
	}
	id, p, err := place(at)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	r, err := a.runOf(ctx, runRef{ID: text(id)})
	if err != nil {
		return err
	}
	if err := active(r); err != nil {
		return err
	}
	body := http.MaxBytesReader(c.Response(), c.Request().Body, a.MaxArtifactBytes)
	// The type is found by the name: what a client says of a file is not what a browser shall take it for.
	if _, err := a.Store.SaveArtifact(ctx, id, p, "", body); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, empty{})
}

// getArtifact gives a file by its run and path, as links of MLflow's pages do.
func (a *API) getArtifact(c echo.Context) error {
	id, err := runRef{text(c.QueryParam("run_id")), text(c.QueryParam("run_uuid"))}.id()
	if err != nil {
		return err
	}
	return a.send(c, id, c.QueryParam("path"))
}

// send gives a file as a download: a page of it would run where this server's own pages do.
func (a *API) send(c echo.Context, id, p string) error {
	f, r, err := a.Store.OpenArtifact(c.Request().Context(), id, p)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return missing("No such artifact: '%s'", p)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "application/octet-stream")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(c.Response(), c.Request(), "", f.CreatedAt, r)
	return nil
}
