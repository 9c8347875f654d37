package generate_test

import (
	"context"
	"fmt"
	"log"

	"triality/runtime/device/cpu"
	"triality/runtime/generate"
	"triality/runtime/model"
)

// Run a model on the processor. Here its weights are fresh; model.LoadConfig and model.OpenFolder read
// those of a folder in Hugging Face form.
func Example() {
	cfg := model.Config{
		ModelType: "llama", VocabSize: 64, HiddenSize: 32, IntermediateSize: 64, Layers: 2, Heads: 4, KVHeads: 2,
		HeadDim: 8, MaxPositions: 128, RMSNormEps: 1e-6, RopeTheta: 10000, BOS: -1,
	}
	weights, err := model.Init(cfg, 1)
	if err != nil {
		log.Fatal(err)
	}
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	params, err := model.Upload(dev, cfg, weights)
	if err != nil {
		log.Fatal(err)
	}
	defer params.Close()
	engine, err := generate.New(dev, cfg, params, model.Hooks{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	request := generate.Request{Prompt: []int32{1, 2, 3}, MaxNew: 5, Sampling: generate.Sampling{Temperature: 1, Seed: 7, RepetitionPenalty: 1}}
	first, err := engine.Generate(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	again, err := engine.Generate(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(first.IDs), "tokens, ended by", first.Finish)
	fmt.Println("the same seed gives the same tokens:", fmt.Sprint(first.IDs) == fmt.Sprint(again.IDs))
	// Output:
	// 5 tokens, ended by length
	// the same seed gives the same tokens: true
}
