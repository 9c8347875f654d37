package naivebayes_test

import (
	"fmt"

	"triality/experiments/naivebayes"
)

func Example() {
	texts := []string{"open the file", "read the file", "delete the disk", "wipe the disk"}
	m := naivebayes.Train(texts, []int{0, 0, 1, 1}, 2)
	fmt.Println(m.Predict("show the file"), m.Predict("erase the disk"))
	// Output: 0 1
}
