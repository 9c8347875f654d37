//go:build !linux && !darwin

package disk

import "errors"

// exchange: Windows replaces files in one step (ReplaceFile) but swaps no folders.
func exchange(a, b string) error { return errors.ErrUnsupported }
