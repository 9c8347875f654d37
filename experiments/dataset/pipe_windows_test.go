package dataset

import "errors"

func makePipe(string) (string, error) { return "", errors.ErrUnsupported }
