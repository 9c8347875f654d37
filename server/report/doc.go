// Package report renders a run as one HTML file that opens offline. go-echarts describes the charts;
// its renderer is not used, since it writes texts unescaped, turns __f__…__f__ in data into code and
// loses a chart to a single NaN. Options are marshalled with encoding/json here, values that are not
// finite become gaps, and a template of ours places both with ECharts itself in the page.
package report
