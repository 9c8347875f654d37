// Package parity holds the engine to transformers and peft: its tests compare logits, gradients,
// training steps and greedy tokens of tiny models of every family with what those libraries compute
// in float32 on the CPU. make_fixtures.py writes testdata; it needs Python, the tests do not.
package parity
