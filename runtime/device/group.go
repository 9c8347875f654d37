package device

// Group is a Device of several of one host that train together: its own methods are those of the first.
type Group interface {
	// Devices are all of them, one for each rank.
	Devices() []Device
	// SumAll makes each of the ranks' buffers, which are Float and of one length, their sum: the same bytes on every
	// device, and in every run on devices like these. It is launched after the earlier work of each device; its
	// error may come with Sync.
	SumAll(buffers []Buffer) error
}
