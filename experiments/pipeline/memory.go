package pipeline

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"triality/experiments"
	"triality/runtime/device"
	"triality/runtime/memory"
	"triality/runtime/train"
)

// Room is the memory that an engine may take; 0: what there is.
type Room struct {
	Process int64 // that this process may hold
	Card    int64 // of a card
}

// advice says what to change so that work needs less of a share of its memory.
type advice map[string][]string

// mend is what helps most: what is advised for the shares that are the most together.
func (how advice) mend(need memory.Plan) string {
	sums := map[string]int64{}
	best := "take a smaller model, or a machine with more memory"
	for _, s := range need.Shares {
		text := strings.Join(how[s.Name], ", or ")
		if text == "" {
			continue
		}
		if sums[text] += s.Bytes; sums[text] > sums[best] {
			best = text
		}
	}
	return best
}

// reserve says what work is going to take, refuses what the device or the machine does not have, and keeps the garbage
// collector to it until release.
func (e *Engine) reserve(need train.Memory, how advice, sink Sink) (release func(), err error) {
	debug.FreeOSMemory() // what lies around is not held
	host := need.Host
	if e.ownMemory() {
		if err := enough("the "+e.Device.Info().Name+" device", need.Device, 0, e.cardRoom(), how, sink); err != nil {
			return nil, onCard(err)
		}
	} else {
		host = memory.Plan{}
		for range e.devices() { // each holds all of it
			host.Join(need.Device)
		}
		host.Join(need.Host)
	}
	planned := host.Total()
	held, _ := memory.Held(os.Getpid())
	if e.planned != nil {
		e.planned(held, need)
	}
	what := "this machine"
	if e.Room.Process > 0 {
		what = "this process"
	}
	host.Add("the program", memory.Slack(planned))
	if err := enough(what, host, held, e.processRoom(), how, sink); err != nil {
		return nil, err
	}
	return memory.Hold(planned), nil
}

// ownMemory says that the device's memory is not the machine's.
func (e *Engine) ownMemory() bool { return e.Device.Info().Name == "cuda" }

// cardRoom is what a card has for us; 0 where that is not known.
func (e *Engine) cardRoom() int64 {
	room := e.Room.Card
	for _, dev := range e.devices() { // each takes as much
		has := dev.Info().Memory
		if f, ok := dev.(device.FreeMemory); ok {
			if free, ok := f.FreeMemory(); ok {
				has = free
			}
		}
		room = least(room, has)
	}
	return room
}

// devices are those that work together: as a rule the one.
func (e *Engine) devices() []device.Device {
	if g, ok := e.Device.(device.Group); ok {
		return g.Devices()
	}
	return []device.Device{e.Device}
}

// processRoom is what this process may hold; 0 where that is not known.
func (e *Engine) processRoom() int64 {
	room := least(memory.Machine(), e.Room.Process)
	if !e.ownMemory() {
		room = least(room, e.Device.Info().Memory)
	}
	return room
}

// least is the smaller of two sizes of which 0 is not known.
func least(a, b int64) int64 {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return min(a, b)
}

// enough compares a plan with the room for it, of which some is held already.
func enough(what string, need memory.Plan, held, room int64, how advice, sink Sink) error {
	total := need.Total()
	with := ""
	if held > 0 {
		with = fmt.Sprintf(" beside %s in use", memory.Bytes(held))
	}
	if room == 0 {
		sink.Note(fmt.Sprintf("planned memory: %s%s: %s", memory.Bytes(total), with, need))
		return nil
	}
	if total > room-held {
		return experiments.Errorf(experiments.CodeInvalid, "%w", &notEnough{experiments.Shortage{
			Memory: total + held,
			Text: fmt.Sprintf("planned memory: %s%s, and %s has %s: %s; the largest part is %s: %s",
				memory.Bytes(total), with, what, memory.Bytes(room), need, need.Largest().Name, how.mend(need)),
		}})
	}
	sink.Note(fmt.Sprintf("planned memory: %s of %s%s: %s", memory.Bytes(total), memory.Bytes(room), with, need))
	return nil
}

// notEnough is what a plan is refused with: the device would have been out of memory.
type notEnough struct{ experiments.Shortage }

func (n *notEnough) Unwrap() []error { return []error{&n.Shortage, device.ErrOutOfMemory} }

// onCard is a shortage as one of a card's memory.
func onCard(err error) error {
	var n *notEnough
	if errors.As(err, &n) {
		n.Memory, n.Card = 0, n.Memory
	}
	return err
}
