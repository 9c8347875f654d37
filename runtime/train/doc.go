// Package train runs a training loop: epochs of packed micro-batches, gradient accumulation,
// clipping, AdamW, learning-rate schedules, evaluation, and checkpoints from which a killed run
// resumes to the same bytes.
//
// Run trains a language model, all of it or a LoRA adapter. Loop is the same machinery over any
// Task, for models with another loss.
package train
