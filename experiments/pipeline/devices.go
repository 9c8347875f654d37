package pipeline

import (
	"errors"
	"runtime"
	"sync"

	"triality/experiments/config"
	"triality/runtime/device"
)

// Devices are the devices of a run by number, each for one costly step at a time. A card is opened when a step needs it
// first; processors share the threads.
type Devices struct {
	cfg   config.Pipeline
	cards []int // by device; nil: processors
	count int
	card  opener

	mu   sync.Mutex
	open map[int]opened
}

// opener is OpenCard, or a test's.
type opener func(cfg config.Pipeline, card int) (device.Device, []string, error)

type opened struct {
	device.Device
	tf32 bool
}

// OpenDevices opens the first of a configuration's devices and knows the others: count of the cards, or of shares of the
// processor. A count of 0 is all cards, or one processor. The notes are OpenDevice's.
func OpenDevices(cfg config.Pipeline, cards []int, count int) (d *Devices, notes []string, err error) {
	return openDevices(cfg, cards, count, OpenCard, Cards)
}

func openDevices(cfg config.Pipeline, cards []int, count int, card opener, all func() (int, error)) (d *Devices, notes []string, err error) {
	first := 0
	if len(cards) > 0 {
		first = cards[0]
	}
	dev, notes, err := card(cfg, first)
	if err != nil {
		return nil, nil, err
	}
	cfg.Device = dev.Info().Name // what auto found
	d = &Devices{cfg: cfg, cards: cards, count: count, card: card, open: map[int]opened{}}
	if cfg.Device != "cuda" {
		d.cards, d.count = nil, max(1, count)
		if d.count > 1 { // the first has its share alone too
			threads := cfg.Threads
			if threads == 0 {
				threads = runtime.NumCPU()
			}
			d.cfg.Threads = max(1, threads/d.count)
			if err := dev.Close(); err != nil {
				return nil, nil, err
			}
			if dev, _, err = card(d.cfg, 0); err != nil {
				return nil, nil, err
			}
		}
	} else {
		if len(d.cards) == 0 {
			n, err := all()
			if err != nil {
				return nil, nil, errors.Join(err, dev.Close())
			}
			for i := range n {
				d.cards = append(d.cards, i)
			}
		}
		if count == 0 {
			d.count = len(d.cards)
		}
		d.count = min(d.count, len(d.cards))
	}
	d.open[0] = opened{dev, cfg.Training.TF32}
	return d, notes, nil
}

// Count is how many there are.
func (d *Devices) Count() int { return d.count }

// First is the one that is open from the start.
func (d *Devices) First() device.Device { return d.open[0].Device }

// Get gives a device, opened with or without TF32. Its step has it to itself.
func (d *Devices) Get(n int, tf32 bool) (device.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, ok := d.open[n]
	if ok && (have.tf32 == tf32 || d.cards == nil) {
		return have.Device, nil
	}
	if ok { // the card's memory is wanted
		delete(d.open, n)
		if err := have.Close(); err != nil {
			return nil, err
		}
	}
	cfg, card := d.cfg, 0
	cfg.Training.TF32 = tf32
	if d.cards != nil {
		card = d.cards[n]
	}
	dev, _, err := d.card(cfg, card)
	if err != nil {
		return nil, err
	}
	d.open[n] = opened{dev, tf32}
	return dev, nil
}

// Close closes those that are open.
func (d *Devices) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, dev := range d.open {
		errs = append(errs, dev.Close())
	}
	d.open = map[int]opened{}
	return errors.Join(errs...)
}
