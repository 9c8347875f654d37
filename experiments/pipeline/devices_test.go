package pipeline

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"triality/experiments/config"
	"triality/runtime/device"
	"triality/runtime/model"
)

// named is a device of which only what it says of itself is used.
type named struct {
	device.Device
	info  device.Info
	close func() error
}

func (d named) Info() device.Info { return d.info }
func (d named) Close() error      { return d.close() }

// machine opens devices of one kind and keeps what happens to them.
type machine struct {
	kind   string
	events []string
	fails  string // the event that fails
}

var errMachine = errors.New("the machine is broken")

func (m *machine) happens(format string, args ...any) error {
	m.events = append(m.events, fmt.Sprintf(format, args...))
	if m.events[len(m.events)-1] == m.fails {
		return errMachine
	}
	return nil
}

func (m *machine) open(cfg config.Pipeline, card int) (device.Device, []string, error) {
	what := fmt.Sprintf("card %d tf32 %v", card, cfg.Training.TF32)
	if m.kind == "cpu" {
		what = fmt.Sprintf("%d threads", cfg.Threads)
	}
	if err := m.happens("open %s", what); err != nil {
		return nil, nil, err
	}
	return named{info: device.Info{Name: m.kind, Model: what}, close: func() error { return m.happens("close %s", what) }}, []string{what}, nil
}

func (m *machine) cards() (int, error) { return 3, m.happens("count cards") }

func TestDevicesAreOpenedAsStepsNeedThem(t *testing.T) {
	for _, tt := range []struct {
		name    string
		kind    string
		threads int
		cards   []int
		count   int
		get     []int // devices, negative ones with TF32
		want    int   // how many there are
		events  string
	}{
		{"one processor", "cpu", 4, nil, 0, []int{0, 0}, 1, "open 4 threads"},
		{"one processor by its number", "cpu", 4, nil, 1, []int{0}, 1, "open 4 threads"},
		{"two shares of a processor", "cpu", 5, nil, 2, []int{0, 1, 1}, 2, "open 5 threads, close 5 threads, open 2 threads, open 2 threads"},
		{"more shares than threads", "cpu", 2, nil, 3, nil, 3, "open 2 threads, close 2 threads, open 1 threads"},
		{"shares of all threads", "cpu", 0, nil, 2, nil, 2, fmt.Sprintf("open 0 threads, close 0 threads, open %d threads", max(1, runtime.NumCPU()/2))},
		{"a processor has no cards and no TF32", "cpu", 4, []int{2}, 0, []int{0, -1}, 1, "open 4 threads"},
		{"all cards", "cuda", 0, nil, 0, []int{0, 2}, 3, "open card 0 tf32 false, count cards, open card 2 tf32 false"},
		{"the cards that are named", "cuda", 0, []int{4, 2}, 0, []int{1}, 2, "open card 4 tf32 false, open card 2 tf32 false"},
		{"fewer than there are", "cuda", 0, nil, 2, nil, 2, "open card 0 tf32 false, count cards"},
		{"no more than there are", "cuda", 0, []int{4, 2}, 3, nil, 2, "open card 4 tf32 false"},
		{"another precision opens a card anew, the same does not", "cuda", 0, []int{4, 2}, 0, []int{0, -1, -1, -2}, 2, "open card 4 tf32 false, close card 4 tf32 false, open card 4 tf32 true, open card 2 tf32 true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{kind: tt.kind}
			cfg := config.Pipeline{Device: "auto", Threads: tt.threads}
			d, notes, err := openDevices(cfg, tt.cards, tt.count, 1, m.open, m.cards)
			if err != nil || d.Count() != tt.want || len(notes) != 1 {
				t.Fatalf("%d devices, notes %q, %v", d.Count(), notes, err)
			}
			for _, n := range tt.get {
				tf32 := n < 0
				if tf32 {
					n = -n - 1
				}
				dev, err := d.Get(n, tf32, 1)
				if err != nil || n == 0 && dev.Info() != d.First().Info() {
					t.Errorf("device %d: %v, %v", n, dev, err)
				}
			}
			if got := strings.Join(m.events, ", "); got != tt.events {
				t.Errorf("%s, want %s", got, tt.events)
			}
			open := len(d.open)
			m.events = nil
			if err := d.Close(); err != nil || len(m.events) != open {
				t.Errorf("%d are open: %q, %v", open, m.events, err)
			}
		})
	}
}

func TestADeviceThatDoesNotOpenIsAnError(t *testing.T) {
	for _, tt := range []struct {
		kind, fails string
		count       int
	}{
		{"cpu", "open 4 threads", 1}, {"cpu", "close 4 threads", 2}, {"cpu", "open 2 threads", 2}, {"cuda", "open card 0 tf32 false", 0}, {"cuda", "count cards", 0},
	} {
		m := &machine{kind: tt.kind, fails: tt.fails}
		if _, _, err := openDevices(config.Pipeline{Threads: 4}, nil, tt.count, 1, m.open, m.cards); !errors.Is(err, errMachine) {
			t.Errorf("%s fails: %v", tt.fails, err)
		}
	}
	for _, fails := range []string{"close card 0 tf32 false", "open card 0 tf32 true"} {
		m := &machine{kind: "cuda"}
		d, _, err := openDevices(config.Pipeline{}, nil, 0, 1, m.open, m.cards)
		if err != nil {
			t.Fatal(err)
		}
		m.fails = fails
		if _, err := d.Get(0, true, 1); !errors.Is(err, errMachine) {
			t.Errorf("%s fails: %v", fails, err)
		}
	}
}

func TestTheDeviceOfAConfigurationIsTheOneItNames(t *testing.T) {
	cards, err := Cards()
	if err != nil {
		t.Skip("the driver does not say which cards there are: ", err)
	}
	auto := "cpu"
	if cards > 0 {
		auto = "cuda"
	}
	for name, want := range map[string]string{"cpu": "cpu", "cuda": "cuda", "auto": auto} {
		if got, err := deviceName(config.Pipeline{Device: name}); got != want || err != nil {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
		dev, notes, err := OpenDevice(config.Pipeline{Device: name})
		if want == "cuda" && cards == 0 {
			if err == nil || !strings.HasPrefix(err.Error(), "device: cuda: ") {
				t.Errorf("a card that is not there: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if dev.Info().Name != want || !slices.Contains(notes, dev.Info().String()) {
			t.Errorf("%s opens %v, notes %q", name, dev.Info(), notes)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := OpenDevice(config.Pipeline{Device: "gpu"}); err == nil || !strings.Contains(err.Error(), `have "gpu"`) {
		t.Errorf("%v", err)
	}
	if dev, _, err := OpenCards(config.Pipeline{Device: "cpu"}, 1); err != nil || dev.Info().Name != "cpu" {
		t.Errorf("one processor: %v", err)
	}
	shares, _, err := OpenCards(config.Pipeline{Device: "cpu"}, 2)
	if err != nil || shares.Info().Name != "cpu" {
		t.Fatalf("two shares of the processor: %v", err)
	}
	if err := shares.Close(); err != nil {
		t.Error(err)
	}
	if cards < 2 {
		if _, _, err := OpenCards(config.Pipeline{Device: "cuda"}, 2); err == nil || !strings.HasPrefix(err.Error(), "device: ") {
			t.Errorf("two cards of %d: %v", cards, err)
		}
	}
}

func TestModelsAreHeldAsTheDeviceCan(t *testing.T) {
	for _, tt := range []struct {
		device  string
		numbers config.Numbers
		want    model.Storage
	}{
		{"cuda", config.Numbers{}, model.Storage{}},
		{"cuda", config.Numbers{BF16: true}, model.Storage{Matrices: device.BFloat16}},
		{"cuda", config.Numbers{FP16: true, Quantization: config.FP8}, model.Storage{Matrices: device.Float16, FP8: true}},
		{"cpu", config.Numbers{BF16: true, LoadIn8bit: true, Int8Threshold: 6}, model.Storage{Int8: true, Threshold: 6}},
	} {
		if got := storageOn(named{info: device.Info{Name: tt.device}}, tt.numbers); got != tt.want {
			t.Errorf("%s, %+v: %+v, want %+v", tt.device, tt.numbers, got, tt.want)
		}
	}
}
