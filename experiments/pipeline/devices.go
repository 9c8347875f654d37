package pipeline

import (
	"errors"
	"runtime"
	"sync"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/device"
	"triality/runtime/device/cpu"
)

// Devices are the places of a run by number, each for one costly step at a time: as many devices as share the steps of a
// training, of which other work takes the first. A card is opened when a step needs it first; processors share the threads.
type Devices struct {
	cfg      config.Pipeline
	cards    []int // place by place; nil: processors
	count    int
	together int // devices of a place
	card     opener

	mu   sync.Mutex
	open map[spot]opened
}

// opener is OpenCard, or a test's.
type opener func(cfg config.Pipeline, card int) (device.Device, []string, error)

// spot is a place and how many of its devices work together.
type spot struct{ place, together int }

type opened struct {
	device.Device
	tf32 bool
}

// OpenDevices opens the first of a configuration's devices and knows the others: count places of `together` cards, or of
// shares of the processor. A count of 0 is as many as there are cards for, or one processor. The notes are OpenDevice's.
func OpenDevices(cfg config.Pipeline, cards []int, count, together int) (d *Devices, notes []string, err error) {
	return openDevices(cfg, cards, count, together, OpenCard, Cards)
}

func openDevices(cfg config.Pipeline, cards []int, count, together int, card opener, all func() (int, error)) (d *Devices, notes []string, err error) {
	first := 0
	if len(cards) > 0 {
		first = cards[0]
	}
	dev, notes, err := card(cfg, first)
	if err != nil {
		return nil, nil, err
	}
	cfg.Device = dev.Info().Name // what auto found
	d = &Devices{cfg: cfg, cards: cards, count: count, together: max(1, together), card: card, open: map[spot]opened{}}
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
		places := len(d.cards) / d.together
		if places == 0 {
			return nil, nil, errors.Join(experiments.Errorf(experiments.CodeInvalid, "training.devices: %d cards are to share a step, and there are %d for this run; give fewer", d.together, len(d.cards)), dev.Close())
		}
		if count == 0 {
			d.count = places
		}
		d.count = min(d.count, places)
	}
	d.open[spot{0, 1}] = opened{dev, cfg.Training.TF32}
	return d, notes, nil
}

// Count is how many places there are.
func (d *Devices) Count() int { return d.count }

// First is the one that is open from the start.
func (d *Devices) First() device.Device { return d.open[spot{0, 1}].Device }

// Get gives the device of a place, opened with or without TF32, or as many as train together. Its step has it to itself.
func (d *Devices) Get(n int, tf32 bool, together int) (device.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	want := spot{n, together}
	if have, ok := d.open[want]; ok && (have.tf32 == tf32 || d.cards == nil) {
		return have.Device, nil
	}
	if together > d.together {
		return nil, experiments.Errorf(experiments.CodeInvalid, "training.devices: %d devices are to share a step, and this run has them by %d", together, d.together)
	}
	for at, have := range d.open {
		if at.place != n || d.cards == nil {
			continue
		}
		if g, ok := have.Device.(device.Group); ok && together == 1 && have.tf32 == tf32 {
			return g.Devices()[0], nil
		}
		delete(d.open, at) // the card's memory is wanted
		if err := have.Close(); err != nil {
			return nil, err
		}
	}
	dev, err := d.make(n, tf32, together)
	if err != nil {
		return nil, err
	}
	d.open[want] = opened{dev, tf32}
	return dev, nil
}

func (d *Devices) make(n int, tf32 bool, together int) (device.Device, error) {
	cfg, card := d.cfg, 0
	cfg.Training.TF32 = tf32
	if d.cards != nil {
		card = d.cards[n*d.together]
	}
	switch {
	case together == 1:
		dev, _, err := d.card(cfg, card)
		return dev, err
	case d.cards == nil:
		return cpu.NewGroup(cpu.Options{Threads: cfg.Threads}, together), nil
	}
	dev, _, err := OpenCards(cfg, d.cards[n*d.together:][:together]...)
	return dev, err
}

// Close closes those that are open.
func (d *Devices) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, dev := range d.open {
		errs = append(errs, dev.Close())
	}
	d.open = map[spot]opened{}
	return errors.Join(errs...)
}
