package graph

import (
	"encoding/json"
	"fmt"
	"io"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// WriteJSON writes v, indented, as a file that is whole or not there.
func WriteJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// ReadJSON reads a file that WriteJSON wrote into v.
func ReadJSON(path string, v any) error {
	text, err := disk.ReadRegular(path, disk.MaxText)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
