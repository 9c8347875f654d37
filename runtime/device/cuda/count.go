package cuda

import "fmt"

// Count is how many cards the driver sees, as CUDA_VISIBLE_DEVICES lets it. Errors are those of Open.
func Count() (int, error) {
	d, err := openDriver()
	if err != nil {
		return 0, err
	}
	var n int32
	if err := d.deviceCount(&n); err != nil {
		return 0, fmt.Errorf("cuda: counting devices: %w", err)
	}
	return int(n), nil
}
