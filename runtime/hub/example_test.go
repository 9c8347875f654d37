package hub_test

import (
	"fmt"

	"triality/runtime/hub"
)

// A model is named by its repository, at a branch, tag or commit.
func ExampleParseRef() {
	for _, name := range []string{"Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B@v1.1", "../secrets"} {
		ref, err := hub.ParseRef(name)
		if err != nil {
			fmt.Println("refused:", name)
			continue
		}
		fmt.Println(ref.Repo, ref.Revision)
	}
	// Output:
	// Qwen/Qwen2.5-0.5B main
	// Qwen/Qwen2.5-0.5B v1.1
	// refused: ../secrets
}
