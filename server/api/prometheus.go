package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"triality/server/store"
)

// instruments are what /metrics tells, beside the Go runtime's and the process's own figures.
type instruments struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	handler  http.Handler
}

func newInstruments(st *store.Store, info Info) *instruments {
	in := &instruments{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triality_http_requests_total", Help: "Requests answered.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "triality_http_request_duration_seconds", Help: "Time to the end of an answer; event streams are left out.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"method", "route"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "triality_build_info", Help: "Always 1; the labels name the versions.",
		ConstLabels: prometheus.Labels{"version": info.Version, "engine": info.EngineVersion},
	})
	build.Set(1)
	in.registry.MustRegister(in.requests, in.seconds, build, storeCollector{st},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	in.handler = promhttp.HandlerFor(in.registry, promhttp.HandlerOpts{})
	return in
}

// observed counts an answered request by its route, not its path, of which there may be any number.
func (in *instruments) observed(c echo.Context, took time.Duration) {
	route, method := c.Path(), c.Request().Method
	if route == "" || route == "/*" {
		route = "pages"
	}
	if _, known := knownMethods[method]; !known {
		method = "other"
	}
	in.requests.WithLabelValues(method, route, strconv.Itoa(c.Response().Status)).Inc()
	if route != eventsPath {
		in.seconds.WithLabelValues(method, route).Observe(took.Seconds())
	}
}

var knownMethods = map[string]struct{}{"GET": {}, "HEAD": {}, "POST": {}, "PUT": {}, "PATCH": {}, "DELETE": {}, "OPTIONS": {}}

// storeCollector tells what the store counts.
type storeCollector struct{ st *store.Store }

var (
	commitsDesc  = prometheus.NewDesc("triality_store_commits_total", "Durable commits.", nil, nil)
	writesDesc   = prometheus.NewDesc("triality_store_writes_total", "Writes that the commits held.", nil, nil)
	commitTime   = prometheus.NewDesc("triality_store_commit_seconds_total", "Time that the commits took.", nil, nil)
	failuresDesc = prometheus.NewDesc("triality_store_failures_total", "Commits and files that the disk refused.", nil, nil)
	healthyDesc  = prometheus.NewDesc("triality_store_healthy", "1 when the last write worked.", nil, nil)
	bytesDesc    = prometheus.NewDesc("triality_store_database_bytes", "Size of the database file.", nil, nil)
	freeDesc     = prometheus.NewDesc("triality_store_free_bytes", "Space left on the data folder's file system.", nil, nil)
	streamsDesc  = prometheus.NewDesc("triality_event_streams", "Watchers of events.", nil, nil)
	droppedDesc  = prometheus.NewDesc("triality_event_streams_dropped_total", "Watchers that were dropped because they read too slowly.", nil, nil)
)

func (storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{commitsDesc, writesDesc, commitTime, failuresDesc, healthyDesc, bytesDesc, freeDesc, streamsDesc, droppedDesc} {
		ch <- d
	}
}

func (s storeCollector) Collect(ch chan<- prometheus.Metric) {
	st := s.st.Stats()
	tell := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, t, v)
	}
	tell(commitsDesc, prometheus.CounterValue, float64(st.Commits))
	tell(writesDesc, prometheus.CounterValue, float64(st.Writes))
	tell(commitTime, prometheus.CounterValue, st.CommitTime.Seconds())
	tell(failuresDesc, prometheus.CounterValue, float64(st.Failures))
	healthy := 0.0
	if st.Healthy {
		healthy = 1
	}
	tell(healthyDesc, prometheus.GaugeValue, healthy)
	tell(bytesDesc, prometheus.GaugeValue, float64(st.DatabaseBytes))
	if free, err := s.st.FreeBytes(); err == nil {
		tell(freeDesc, prometheus.GaugeValue, float64(free))
	}
	tell(streamsDesc, prometheus.GaugeValue, float64(st.EventStreams))
	tell(droppedDesc, prometheus.CounterValue, float64(st.DroppedStreams))
}

// prometheus answers in Prometheus's text format.
func (s *Server) prometheus(c echo.Context) error {
	s.instruments.handler.ServeHTTP(c.Response(), c.Request())
	return nil
}
