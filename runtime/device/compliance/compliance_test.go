package compliance_test

import (
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/compliance"
	"triality/runtime/device/reference"
)

// The reference agrees with itself: this holds the suite's own shapes, sizes and error cases.
func TestReferenceComplies(t *testing.T) {
	open := func() device.Device { return reference.New() }
	compliance.Run(t, open, 0)
}
