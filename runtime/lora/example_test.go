package lora_test

import (
	"fmt"
	"log"
	"os"

	"triality/runtime/lora"
	"triality/runtime/model"
)

// Make an adapter, write it as peft does, and read it back.
func Example() {
	cfg := model.Config{
		ModelType: "llama", VocabSize: 64, HiddenSize: 32, IntermediateSize: 64, Layers: 2, Heads: 4, KVHeads: 2,
		HeadDim: 8, MaxPositions: 128, RMSNormEps: 1e-6, RopeTheta: 10000, BOS: -1,
	}
	adapter, err := lora.New(lora.Config{R: 4, Alpha: 8, TargetModules: []string{"q_proj", "v_proj"}}, cfg, 1)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := adapter.Write(dir); err != nil {
		log.Fatal(err)
	}
	back, err := lora.Read(dir, cfg)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(back.Modules), "modules, rank", back.R, "scaling", back.Scaling())
	for _, t := range back.Tensors()[:2] {
		fmt.Println(t.Name, t.Shape)
	}
	// Output:
	// 4 modules, rank 4 scaling 2
	// base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight [4 32]
	// base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight [32 4]
}
