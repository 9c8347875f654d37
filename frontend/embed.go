// Package frontend holds the built web pages. `npm run build` in this folder writes them to dist;
// without it the folder holds only .gitkeep, and the binary still builds.
package frontend

import "embed"

// Dist is the built site under "dist/": index.html, hashed files under assets/, report/echarts.min.js.
//
//go:embed all:dist
var Dist embed.FS

// ReportECharts is the classic script that defines window.echarts for offline reports, nil when the
// pages were not built.
func ReportECharts() []byte {
	b, err := Dist.ReadFile("dist/report/echarts.min.js")
	if err != nil {
		return nil
	}
	return b
}
