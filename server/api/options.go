package api

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/server/fleet"
	"triality/server/store"
)

// Jobs runs pipelines. Errors carry codes: CodeInvalid for a configuration that is wrong, CodeConflict
// for a run in another state.
type Jobs interface {
	// Submit queues a pipeline.
	Submit(ctx context.Context, s experiments.Submission) (experiments.Run, error)
	// Cancel stops a queued or running run.
	Cancel(ctx context.Context, runID string) error
	// Resume queues an interrupted or failed run again: the same run goes on.
	Resume(ctx context.Context, runID string) (experiments.Run, error)
	// List gives the runs under way and those that wait, in the order in which they start.
	List(ctx context.Context) ([]experiments.Run, error)
	// Waits says why a run waits; nil where it does not.
	Waits(ctx context.Context, runID string) *experiments.Reason
	// Prioritize changes the priority of a waiting run.
	Prioritize(ctx context.Context, runID string, priority int) (experiments.Run, error)
	// Plan says what a run of a configuration would do; dir is the folder at which its paths begin, empty: the server's.
	Plan(ctx context.Context, config, dir string) ([]pipeline.PlannedStep, error)
	// Log gives what a run's workers printed, from an offset in bytes on.
	Log(runID string, from int64) (io.ReadCloser, error)
}

// Workers are the workers on other machines.
type Workers interface {
	// Members gives those that have joined since the server started, by name.
	Members() []fleet.Member
}

// Modules validates and stores metric modules, and tries them on finished A/B tests. A module that
// fails validation is a CodeInvalid error whose Details hold "checks", a []experiments.Check.
type Modules interface {
	Add(ctx context.Context, wasm []byte) (experiments.Module, error)
	// Try runs a stored module on a run's A/B test and keeps the result with the run.
	Try(ctx context.Context, runID, sha256 string, params map[string]any, slices ...string) (experiments.ModuleResult, error)
}

// Config is a shipped pipeline configuration.
type Config struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	YAML  string `json:"yaml"`
}

// Info describes this server.
type Info struct {
	Version       string `json:"version"`
	EngineVersion string `json:"engine_version"`
	Device        Device `json:"device"`
}

// Device is what models are computed on.
type Device struct {
	Name    string `json:"name"`
	Model   string `json:"model"`
	Threads int    `json:"threads"`
	SIMD    string `json:"simd"`
}

// Options of New. Store is needed; a part that is nil makes its routes answer "unavailable".
type Options struct {
	Store       *store.Store
	Jobs        Jobs
	Workers     Workers // nil: there are none
	Modules     Modules
	Reporter    experiments.Reporter
	Frontend    fs.FS // the built site: index.html, assets/…; nil or without index.html: a page says how to build it
	Configs     []Config
	Notebooks   Notebooks
	Desk        Desk
	Rows        Rows
	Think       Think       // nil: queries are not answered
	Escalations Escalations // nil: none wait
	Info        Info
	Token       string       // of the data folder: see package client; empty: nobody may name folders
	Logger      *slog.Logger // silent when nil

	MaxArtifactBytes int64         // of one upload; default 8 GiB
	MaxModuleBytes   int64         // default 32 MiB
	UploadTime       time.Duration // that each mebibyte of a module may take to arrive; default 10 s
	// AllowOrigins are further origins that may write, such as a development server's.
	AllowOrigins []string
	// Heartbeat of event streams; default 15 s.
	Heartbeat time.Duration
	// StallTime is how long a client of an event stream may leave what it was sent unread before it is
	// dropped; default 10 s.
	StallTime time.Duration
}

// Limits of JSON bodies, bytes.
const (
	maxBody        = 1 << 20
	maxMetricsBody = 16 << 20
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxArtifactBytes <= 0 {
		o.MaxArtifactBytes = 8 << 30
	}
	if o.MaxModuleBytes <= 0 {
		o.MaxModuleBytes = 32 << 20
	}
	if o.UploadTime <= 0 {
		o.UploadTime = 10 * time.Second
	}
	if o.StallTime <= 0 {
		o.StallTime = 10 * time.Second
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 15 * time.Second
	}
	return o
}
