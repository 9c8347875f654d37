package api

import (
	"crypto/subtle"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/server/fleet"
)

type newJob struct {
	Config   string `json:"config"` // a pipeline's or a graph's YAML
	Name     string `json:"name,omitempty"`
	Dir      string `json:"dir,omitempty"`      // absolute folder of this machine at which its paths begin; needs the data folder's token
	Priority int    `json:"priority,omitempty"` // higher runs first; 0 where left out
	// ExperimentID is where the run is filed; left out: in the experiment that the configuration names.
	ExperimentID string   `json:"experiment_id,omitempty"`
	Book         string   `json:"book,omitempty"`  // name of the notebook that the text is of
	Cells        []string `json:"cells,omitempty"` // of a notebook: only these, and those that they need
}

// maxPriority bounds priorities either way.
const maxPriority = 1000

func (s *Server) submit(c echo.Context) error {
	var in newJob
	body, err := readJSON(c, maxBody, &in)
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	if in.Config == "" {
		return invalid("config is missing: the pipeline's YAML")
	}
	if err := s.checkDir(c, in.Dir); err != nil {
		return err
	}
	if err := checkPriority(in.Priority); err != nil {
		return err
	}
	job, err := s.partOf(in)
	if err != nil {
		return err
	}
	job.Experiment = in.ExperimentID
	if c.Request().Header.Get(clientHeader) != "" {
		if job.By, err = clientOf(c); err != nil {
			return err
		}
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	r, err := s.opts.Jobs.Submit(ctx, job)
	if err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/runs/"+r.ID)
	return sendJSON(c, http.StatusAccepted, r)
}

// checkDir checks the folder at which a configuration's paths begin.
func (s *Server) checkDir(c echo.Context, dir string) error {
	if dir == "" {
		return nil
	}
	if !s.ownsData(c.Request()) {
		return experiments.Errorf(codeForbidden, "dir: only who reads the data folder may name a folder of this machine; leave it out")
	}
	if info, err := os.Stat(dir); !filepath.IsAbs(dir) || err != nil || !info.IsDir() {
		return invalid("dir %q: want an absolute path of a folder", dir)
	}
	return nil
}

type newPlan struct {
	Config string `json:"config"`        // a pipeline's or a graph's YAML
	Dir    string `json:"dir,omitempty"` // as of a job
}

type planAnswer struct {
	Steps []pipeline.PlannedStep `json:"steps"`
}

func (s *Server) plan(c echo.Context) error {
	var in newPlan
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	if in.Config == "" {
		return invalid("config is missing: the YAML of a pipeline or a graph")
	}
	if err := s.checkDir(c, in.Dir); err != nil {
		return err
	}
	steps, err := s.opts.Jobs.Plan(c.Request().Context(), in.Config, in.Dir)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, planAnswer{steps})
}

func checkPriority(n int) error {
	if n < -maxPriority || n > maxPriority {
		return invalid("priority is %d, must lie between %d and %d", n, -maxPriority, maxPriority)
	}
	return nil
}

// ownsData says whether a request comes from someone who reads the data folder, where the token is.
func (s *Server) ownsData(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && s.opts.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.opts.Token)) == 1
}

func (s *Server) queue(c echo.Context) error {
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	runs, err := s.opts.Jobs.List(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[experiments.Run]{Items: runs})
}

func (s *Server) workers(c echo.Context) error {
	items := []fleet.Member{}
	if s.opts.Workers != nil {
		items = s.opts.Workers.Members()
	}
	return sendJSON(c, http.StatusOK, list[fleet.Member]{Items: items})
}

// runLog sends what a run's workers printed, from an offset on, so that a reader can follow.
func (s *Server) runLog(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	from := int64(0)
	if q := c.QueryParam("from"); q != "" {
		if from, err = strconv.ParseInt(q, 10, 64); err != nil || from < 0 {
			return invalid("from %.40q: want a number of bytes", q)
		}
	}
	if _, err := s.store.Run(c.Request().Context(), id); err != nil {
		return err
	}
	log, err := s.opts.Jobs.Log(id, from)
	if err != nil {
		return err
	}
	defer log.Close()
	h := c.Response().Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err = io.Copy(c.Response(), log)
	return err
}

// StoreCheck is what a check of the store found.
type StoreCheck struct {
	Problems []string `json:"problems"`
}

func (s *Server) checkStore(c echo.Context) error {
	problems, err := s.store.Check(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, StoreCheck{append([]string{}, problems...)})
}

func (s *Server) cancelRun(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	if err := s.opts.Jobs.Cancel(c.Request().Context(), id); err != nil {
		return err
	}
	return s.sendRun(c, http.StatusAccepted)
}

func (s *Server) resumeRun(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	r, err := s.opts.Jobs.Resume(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusAccepted, r)
}
