// Package so8t turns a language model into an SO8T model, trains, judges and stores it.
//
// An SO8T model rotates the normalised hidden state, in blocks of eight dimensions, before the
// attention of each layer. A layer has two gates, safe and cmd, each a rotation R = exp(A) in SO(8)
// with a skew-symmetric generator A (28 numbers) and a scale s; together they compute
// x ↦ R_cmd·(s_safe·R_safe·x)·s_cmd. Two more heads read the final hidden state: safety (safe,
// unsafe) and authority (handle, escalate); the product of their probabilities gives the four
// classes.
package so8t
