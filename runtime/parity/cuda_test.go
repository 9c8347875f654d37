package parity

import "testing"

func TestLogitsOnCUDAInNarrowStorageAreThoseOfTransformersWithinItsRounding(t *testing.T) {
	openCard(t)
	holdNarrow(t, openCard)
}

func TestOnCUDAEverythingIsAsOnTheProcessor(t *testing.T) {
	openCard(t)
	onCUDA = true
	defer func() { onCUDA = false }()
	for name, test := range map[string]func(*testing.T){
		"logits": TestLogitsAreThoseOfTransformers, "loss": TestTheLossIsThatOfTransformers,
		"padded and packed": TestPaddedAndPackedSequencesGiveTheLogitsOfSingleOnes, "greedy tokens": TestGreedyTokensAreThoseOfTransformers,
		"adapters": TestAnAdapterByPeftGivesItsLogits, "gradients": TestLoRAGradientsAreThoseOfPeft,
		"training of an adapter": TestTwentyStepsOfAnAdapterAreThoseOfPeft, "training": TestTwentyStepsOfTheWholeModelAreThoseOfTransformers,
	} {
		t.Run(name, test)
	}
}
