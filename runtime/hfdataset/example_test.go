package hfdataset_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"triality/runtime/hfdataset"
)

// Write a dataset that Python's datasets.load_from_disk reads, and read one of its columns.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dir = filepath.Join(dir, "dataset")
	err = hfdataset.Write(dir, []hfdataset.Split{
		{Name: "train", Columns: []hfdataset.Column{
			hfdataset.Strings("text", []string{"open the door", "close it"}),
			hfdataset.Ints("label", []int64{0, 3}),
		}},
		{Name: "test", Columns: []hfdataset.Column{
			hfdataset.Strings("text", []string{"wait"}),
			hfdataset.Ints("label", []int64{1}),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}

	splits, err := hfdataset.Read(dir, "label")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range splits {
		fmt.Println(s.Name, s.Rows(), s.Column("label").Ints)
	}
	// Output:
	// train 2 [0 3]
	// test 1 [1]
}
