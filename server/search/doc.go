// Package search keeps the runs of a store in columns in memory and answers filters, orders, groups and
// questions about columns from them. The store fills an Index when it is opened and tells it of every commit
// before it acknowledges it, so a search sees what was acknowledged.
package search
