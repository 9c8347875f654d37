package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// valueType is the type of a metadata value, numbered as in the format.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// fixed is the size in bytes of a value, 0 for strings and arrays and for types that do not exist.
func (t valueType) fixed() int {
	switch t {
	case typeUint8, typeInt8, typeBool:
		return 1
	case typeUint16, typeInt16:
		return 2
	case typeUint32, typeInt32, typeFloat32:
		return 4
	case typeUint64, typeInt64, typeFloat64:
		return 8
	}
	return 0
}

// Pair is one entry of the metadata. Value is a uint32, int32, uint64, float32, bool or string, or a
// slice of strings, int32 or float32.
type Pair struct {
	Key   string
	Value any
}

// appendPair appends the entry as the file has it.
func appendPair(b []byte, p Pair) ([]byte, error) {
	b = appendString(b, p.Key)
	le := binary.LittleEndian
	kind := func(t valueType) { b = le.AppendUint32(b, uint32(t)) }
	array := func(t valueType, n int) {
		kind(typeArray)
		kind(t)
		b = le.AppendUint64(b, uint64(n))
	}
	switch v := p.Value.(type) {
	case uint32:
		kind(typeUint32)
		b = le.AppendUint32(b, v)
	case int32:
		kind(typeInt32)
		b = le.AppendUint32(b, uint32(v))
	case uint64:
		kind(typeUint64)
		b = le.AppendUint64(b, v)
	case float32:
		kind(typeFloat32)
		b = le.AppendUint32(b, math.Float32bits(v))
	case bool:
		kind(typeBool)
		if v {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	case string:
		kind(typeString)
		b = appendString(b, v)
	case []string:
		array(typeString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
	case []int32:
		array(typeInt32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, uint32(x))
		}
	case []float32:
		array(typeFloat32, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	default:
		return nil, fmt.Errorf("metadata %q: a %T is not written", p.Key, p.Value)
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}
