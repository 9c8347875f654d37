package api

import (
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// CheckAddress refuses to listen anywhere but on the machine itself: without users and tokens anyone who
// reaches the port could run jobs. address is "host:port".
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return invalid("listen address %q: %w", address, err)
	}
	if !loopback(host) {
		return invalid("listen address %[1]q: only this machine's own (127.0.0.1, ::1, localhost) is allowed, since there are no users and tokens yet; "+
			"to reach it from elsewhere, forward the port: ssh -L %[2]s:127.0.0.1:%[2]s HOST", address, port)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// policy is the Content-Security-Policy of our own pages.
const policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

// foreignPolicy is that of documents we did not write, and of reports, which carry their script: they
// run as a site of their own, without a network and without our pages' rights.
const foreignPolicy = "sandbox allow-scripts allow-modals allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; " +
	"img-src data:; font-src data:; frame-ancestors 'self'"

func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "SAMEORIGIN")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		return next(c)
	}
}

// guard refuses requests that a page of another site caused. A name that leads to 127.0.0.1 makes such
// a page look like ours (DNS rebinding): the Host header gives it away. A form or fetch of another site
// carries its Origin, or Sec-Fetch-Site.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := c.Request()
		host := req.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		} else if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
			host = host[1 : len(host)-1]
		}
		if !loopback(host) {
			return experiments.Errorf(codeForbidden, "host %.100q: this server answers only to localhost, 127.0.0.1 and [::1]", req.Host)
		}
		origin := req.Header.Get("Origin")
		if origin != "" && !s.sameOrigin(origin, req.Host) {
			return experiments.Errorf(codeForbidden, "origin %.100q: requests from other sites are refused", origin)
		}
		if site := req.Header.Get("Sec-Fetch-Site"); origin == "" && !safe(req.Method) && site != "" && site != "same-origin" && site != "none" {
			return experiments.Errorf(codeForbidden, "requests from other sites are refused")
		}
		return next(c)
	}
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func (s *Server) sameOrigin(origin, host string) bool {
	if slices.Contains(s.opts.AllowOrigins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == "http" && u.Host == host
}
