package tokenizer_test

import (
	"fmt"
	"log"
	"slices"

	"triality/runtime/tokenizer"
)

// Train a small byte-level BPE tokenizer; Load reads the tokenizer.json of a model's folder instead.
func Example() {
	texts := slices.Values([]string{"low lower lowest", "low low slow"})
	tok, err := tokenizer.Train(texts, 270, []string{"<|endoftext|>"})
	if err != nil {
		log.Fatal(err)
	}
	ids := tok.Encode("slow lowland", false)
	for _, id := range ids {
		fmt.Printf("%q\n", tok.Token(id))
	}
	fmt.Println(tok.Decode(ids, true))
	// Output:
	// "s"
	// "low"
	// "Ġlow"
	// "l"
	// "a"
	// "n"
	// "d"
	// slow lowland
}
