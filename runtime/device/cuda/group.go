package cuda

import (
	"errors"
	"fmt"

	"triality/runtime/device"
)

// Group is several cards of one host that train together, with NCCL between them. As a device.Device it is the
// first of them.
type Group struct {
	*Device
	cards []*Device
	nccl  *nccl
}

var _ device.Group = (*Group)(nil)

// OpenGroup readies cards by their numbers. It fails as Open does, and with ErrNoNCCL.
func OpenGroup(o Options, cards ...int) (*Group, error) {
	if len(cards) == 0 {
		return nil, errors.New("cuda: a group of no cards")
	}
	g := &Group{}
	var ordinals []int32
	for _, card := range cards {
		o.Ordinal = card
		dev, err := Open(o)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.cards, ordinals = append(g.cards, dev.(*Device)), append(ordinals, int32(card))
	}
	g.Device = g.cards[0]
	leave, err := g.Device.enter()
	if err == nil {
		g.nccl, err = openNCCL(ordinals)
		leave()
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Devices are the cards.
func (g *Group) Devices() []device.Device {
	var list []device.Device
	for _, d := range g.cards {
		list = append(list, d)
	}
	return list
}

// SumAll is NCCL's sum over the cards, on the stream of each.
func (g *Group) SumAll(buffers []device.Buffer) error {
	if len(buffers) != len(g.cards) {
		return fmt.Errorf("cuda: sum over cards: %d buffers for %d cards", len(buffers), len(g.cards))
	}
	at, streams := make([]uint64, len(buffers)), make([]uintptr, len(buffers))
	var calls []*call
	defer func() {
		for _, c := range calls {
			c.end()
		}
	}()
	for r, d := range g.cards {
		c := d.begin("sum over cards")
		calls = append(calls, &c)
		at[r], streams[r] = c.floats("buffer", buffers[r], buffers[0].Len()), d.stream
		if c.failed {
			return c.err
		}
	}
	if err := g.nccl.sum(at, streams, buffers[0].Len()); err != nil {
		return fmt.Errorf("cuda: sum over cards: %w", err)
	}
	return nil
}

// Close closes all cards.
func (g *Group) Close() error {
	var errs []error
	if g.nccl != nil {
		for _, d := range g.cards {
			errs = append(errs, d.Sync())
		}
		errs = append(errs, g.nccl.close())
		g.nccl = nil
	}
	for _, d := range g.cards {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
