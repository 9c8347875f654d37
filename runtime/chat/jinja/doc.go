// Package jinja renders chat templates: the part of Jinja2 that they use, with Python's meaning of
// every value and operation, under the settings of transformers (trim_blocks, lstrip_blocks, loop
// controls, the immutable sandbox). What is not supported is an error that names it and its line.
//
// A template may come from anyone. Its source, the depth of its nesting, the work that it does and
// the texts and lists that it makes are bounded; the bounds count steps, not time, so that a
// template that is refused is refused everywhere.
package jinja
