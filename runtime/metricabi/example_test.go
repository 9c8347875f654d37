package metricabi_test

import (
	"fmt"
	"log"

	"triality/runtime/metricabi"
)

// A table as a metric module reads it: encoded once, read in place.
func Example() {
	table := metricabi.Table{Rows: 3, Columns: append(metricabi.ClassColumns("ALLOW", "ESCALATION", "DENY", "REFUSE"),
		metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", []int32{0, 2, 3}),
		metricabi.Int32Column(metricabi.RolePrediction, metricabi.ArmA, "", []int32{0, 0, 3}),
	)}
	block, err := metricabi.Encode(table)
	if err != nil {
		log.Fatal(err)
	}
	back, err := metricabi.Decode(block)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Rows, "rows,", len(back.Columns), "columns, classes", back.Classes())
	fmt.Println("equal:", back.Equal(table))
	// Output:
	// 3 rows, 6 columns, classes [ALLOW ESCALATION DENY REFUSE]
	// equal: true
}
