// Package train runs a training loop: epochs of packed micro-batches, gradient accumulation,
// clipping, AdamW, learning-rate schedules, evaluation, and checkpoints from which a killed run
// resumes to the same bytes.
//
// Gradients, and the weights that the optimizer changes, are Float whatever the graph computes with. A
// micro-batch adds its gradients to those of the step as they come up, so that none is held twice.
//
// Run trains a language model, all of it or a LoRA adapter. Loop is the same machinery over any
// Task, for models with another loss.
package train
