package device

// MemoryUser is a Device that counts the memory allocated on it.
type MemoryUser interface {
	// MemoryInUse is the bytes in use now, and the most that were at once since the device was opened.
	MemoryInUse() (now, peak int64)
}
