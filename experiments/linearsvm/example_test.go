package linearsvm_test

import (
	"context"
	"fmt"

	"triality/experiments/linearsvm"
)

func Example() {
	texts := []string{"open the file", "read the file", "delete the disk", "wipe the disk"}
	m, err := linearsvm.Train(context.Background(), texts, []int{0, 0, 1, 1}, 2)
	fmt.Println(m.Predict("show the file"), m.Predict("erase the disk"), err)
	// Output: 0 1 <nil>
}
