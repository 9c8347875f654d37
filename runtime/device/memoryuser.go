package device

// MemoryUser is a Device that counts the memory allocated on it.
type MemoryUser interface {
	// MemoryInUse is the bytes in use now, and the most that were at once since the device was opened.
	MemoryInUse() (now, peak int64)
}

// FreeMemory is a Device with memory of its own that says how much of it is free now, in bytes, by whomever the rest
// is used; ok is false where the driver does not say.
type FreeMemory interface {
	FreeMemory() (bytes int64, ok bool)
}
