// Package events hands what the store committed to those who watch, each through a bounded buffer.
package events
