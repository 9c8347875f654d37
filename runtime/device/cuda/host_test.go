package cuda

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/safetensors"
)

// card is a source of memory with room for so many bytes.
type card struct {
	room  int64
	spans map[uint64]int64
	next  uint64
	takes int
}

func (c *card) take(bytes int64) (uint64, error) {
	c.takes++
	if bytes > c.room {
		return 0, &result{code: resultOutOfMemory, name: "CUDA_ERROR_OUT_OF_MEMORY", text: "out of memory"}
	}
	c.room -= bytes
	c.next += 1 << 32
	c.spans[c.next] = bytes
	return c.next, nil
}

func (c *card) give(address uint64) error {
	n, ok := c.spans[address]
	if !ok {
		return errors.New("freed twice")
	}
	c.room += n
	delete(c.spans, address)
	return nil
}

func TestThePoolHandsFreedSpansOutAgain(t *testing.T) {
	c := &card{room: 1 << 30, spans: map[uint64]int64{}}
	p := newPool(c, 1<<30)
	a, size, err := p.get(1000)
	if err != nil || size != 1024 {
		t.Fatalf("1000 bytes gave %d, %v", size, err)
	}
	p.put(a, size)
	b, _, err := p.get(1024)
	if err != nil || a != b || c.takes != 1 {
		t.Errorf("the span was not used again: %d then %d, %d takes, %v", a, b, c.takes, err)
	}
	if err := p.close(); err != nil || len(c.spans) != 0 || c.room != 1<<30 {
		t.Errorf("close left %d spans: %v", len(c.spans), err)
	}
}

func TestThePoolGivesIdleSpansBackBeforeItRefuses(t *testing.T) {
	for name, limit := range map[string]int64{"by its own limit": 10 << 20, "by the card": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			c := &card{room: 10 << 20, spans: map[uint64]int64{}}
			p := newPool(c, limit)
			a, size, err := p.get(8 << 20)
			if err != nil {
				t.Fatal(err)
			}
			p.put(a, size)
			if _, _, err := p.get(9 << 20); err != nil {
				t.Errorf("9 MiB of 10 with 8 idle: %v", err)
			}
			_, _, err = p.get(2 << 20)
			if !errors.Is(err, device.ErrOutOfMemory) || !strings.Contains(err.Error(), "lower the micro-batch") {
				t.Errorf("2 MiB more gave %v", err)
			}
		})
	}
}

func TestSizeClassesWasteLittle(t *testing.T) {
	for _, n := range []int64{1, 511, 512, 513, 4096, 5000, 1 << 20, 1<<20 + 1, 500<<20 + 3} {
		s := sizeClass(n)
		if s < n || s%512 != 0 || (n >= 4096 && float64(s-n) > 0.13*float64(n)) || (n > 32<<20 && s-n >= 2<<20) || sizeClass(s) != s {
			t.Errorf("%d bytes take %d", n, s)
		}
	}
}

func TestPositionsAreGroupedByIdInOrder(t *testing.T) {
	rows, offsets, order := byID([]int32{5, 2, 5, 9, 2, 5})
	if fmt.Sprint(rows, offsets, order) != "[2 5 9] [0 2 5 6] [1 4 0 2 5 3]" {
		t.Errorf("got %v %v %v", rows, offsets, order)
	}
}

func TestOnlyTheLastWriteToASlotStays(t *testing.T) {
	from, to := lastWrites([]int32{7, 3, 7, 1})
	if fmt.Sprint(from, to) != "[3 2 1] [1 7 3]" {
		t.Errorf("got %v to %v", from, to)
	}
}

func TestBlocksOfLogitsStayUnderTheLimit(t *testing.T) {
	for _, c := range []struct{ rows, vocabulary, limit, blockT, blockV int }{
		{2048, 32_000, 32 << 20, 1048, 32_000},
		{2048, 152_064, 32 << 20, 256, 131_072},
		{10, 100, 1000, 10, 100},
		{0, 100, 1000, 1, 100},
		{5000, 1, 32 << 20, 2048, 1},
		{2048, 152_064, narrowLogitElements, 257, 152_064},
	} {
		if bt, bv := logitBlock(c.rows, c.vocabulary, c.limit); bt != c.blockT || bv != c.blockV {
			t.Errorf("%d rows of %d under %d: %d by %d, want %d by %d", c.rows, c.vocabulary, c.limit, bt, bv, c.blockT, c.blockV)
		}
	}
}

// Shared memory of a block, by compute capability: CUDA C++ programming guide, technical specifications.
func TestEveryHeadUpTo256RunsOnEveryCard(t *testing.T) {
	for capability, shared := range map[string]int{"8.0": 163 << 10, "8.6": 99 << 10, "9.0": 227 << 10} {
		for _, backward := range []bool{false, true} {
			for dim := 1; dim <= 256; dim++ {
				if v, ok := chooseAttention(dim, backward, shared); !ok || v.width < dim {
					t.Fatalf("heads of %d on %s, backward %v: %+v", dim, capability, backward, v)
				}
			}
		}
	}
	if _, ok := chooseAttention(257, false, 227<<10); ok {
		t.Error("heads of 257 have a kernel")
	}
}

func TestEveryKernelThatIsLaunchedIsInThePTX(t *testing.T) {
	files, err := ptx.ReadDir("kernels")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		text, err := ptx.ReadFile("kernels/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		found := entries(text)
		if _, some := cardsOf(f.Name()); some {
			for _, name := range found {
				if _, own := warpgroupKernels()[name]; !own && !slices.Contains(names, name) {
					t.Errorf("%s has %s, which other cards lack", f.Name(), name)
				}
			}
			continue
		}
		names = append(names, found...)
	}
	want := []string{"adamw", "adamw8", "list_outliers", "sum_partials", "ce_begin", "ce_update", "ce_update_narrow", "ce_end",
		"skew_exp", "skew_exp_grad", "ce_grad", "transpose_bytes", "turn_narrow"}
	types := []string{"_f32", "_bf16", "_f16"}
	for _, name := range []string{"fill", "add", "mul", "swiglu", "swiglu_grad", "scale", "scale_by", "add_bias", "dropout",
		"column_partials", "dot_partials", "weighted_partials", "outer_partials", "pet_partials", "pet_grad", "gather",
		"gather_sum", "scatter", "rmsnorm", "inverse_rms", "rmsnorm_grad_x", "rotary", "block_mul",
		"divide_by_norms", "scale_columns", "flag_outliers", "quantize_rows", "requantize_rows", "dequantize", "int8_finish", "int8_product", "gather_columns", "dequantize_columns",
		"quantize_rows_fp8", "requantize_rows_fp8", "dequantize_fp8"} {
		for _, t := range types {
			want = append(want, name+t)
		}
	}
	for name := range adaptedKernels() {
		want = append(want, name)
	}
	for _, name := range []string{"ce_residual", "ce_weigh", "ce_scatter"} {
		want = append(want, name+"_bf16", name+"_f16")
	}
	for _, from := range types {
		for _, to := range types {
			if from != to {
				want = append(want, "copy"+from+to)
			}
		}
	}
	for name := range attentionKernels(math.MaxInt) {
		want = append(want, name)
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the PTX has %v\nthe device launches %v", names, want)
	}
}

func TestAFileOfPTXRunsOnTheCardsItsNameSays(t *testing.T) {
	for file, on := range map[string][]int{
		"rows.ptx":                   {80, 86, 89, 90, 100, 120},
		"sm_89_fp8.ptx":              {89, 90, 100, 120},
		"sm_90a_attention_bf16.ptx":  {90}, // PTX for sm_90a loads on no other
		"sm_100a_attention_bf16.ptx": {100},
	} {
		c, _ := cardsOf(file)
		var got []int
		for _, capability := range []int{80, 86, 89, 90, 100, 120} {
			if c.runs(capability) {
				got = append(got, capability)
			}
		}
		if !slices.Equal(got, on) {
			t.Errorf("%s (%s) runs on %v, want %v", file, c.target(), got, on)
		}
	}
}

// A file is compiled when a kernel of it is launched, so a job pays for what it uses.
func TestAKernelIsOfTheNewestFileThatLoads(t *testing.T) {
	const shared, own = "quantize_rows_fp8_bf16", "warpgroup_attention_bf16_128"
	for name, c := range map[string]struct {
		capability int
		broken     []string
		kernel     string
		want       string // file; empty: there is none
		fails      bool
	}{
		"an old card":                         {80, nil, shared, "fp8.ptx", false},
		"a new card":                          {90, nil, shared, "sm_89_fp8.ptx", false},
		"a driver older than the instruction": {90, []string{"sm_89_fp8.ptx"}, shared, "fp8.ptx", false},
		"no file loads":                       {90, []string{"sm_89_fp8.ptx", "fp8.ptx"}, shared, "", true},
		"a kernel for one card":               {90, nil, own, "sm_90a_attention_bf16.ptx", false},
		"which an older driver does without":  {90, []string{"sm_90a_attention_bf16.ptx"}, own, "", false},
		"and other cards have not":            {100, nil, own, "", false},
		"a name that is nowhere":              {90, nil, "no_such_kernel", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Device{capability: c.capability, kernels: map[string]uintptr{}}
			if err := d.findKernels(); err != nil {
				t.Fatal(err)
			}
			// As if all had been compiled; the number of a kernel is that of its file.
			files := map[uintptr]string{}
			for _, list := range d.files {
				for _, f := range list {
					if f.loaded {
						continue
					}
					f.loaded, f.kernels = true, map[string]uintptr{}
					number := uintptr(len(files) + 1)
					files[number] = f.name
					for _, k := range []string{shared, own} {
						f.kernels[k] = number
					}
					if slices.Contains(c.broken, f.name) {
						f.err = errors.New("no such instruction")
					}
				}
			}
			for range 2 {
				got, ok, err := d.function(c.kernel)
				if ok != (c.want != "") || files[got] != c.want || (err != nil) != c.fails {
					t.Errorf("got %q, %t, %v", files[got], ok, err)
				}
			}
		})
	}
}

func TestALibraryIsLookedForByNameThenInFolders(t *testing.T) {
	got := candidates([]string{"a.13", "a.12"}, []string{filepath.FromSlash("/x")})
	if want := fmt.Sprint([]string{"a.13", filepath.FromSlash("/x/a.13"), "a.12", filepath.FromSlash("/x/a.12")}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestALibraryThatCannotOpenSaysWhy(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "libbroken.so")
	if err := os.WriteFile(broken, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "libabsent.so")
	err := openAny([]string{absent, broken, "libthere-is-no-such.so"}, func(library) error { return nil })
	if err == nil {
		t.Fatal("it opened")
	}
	for _, part := range []string{"libbroken.so", "libthere-is-no-such.so"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
	if strings.Contains(err.Error(), "libabsent") || strings.Contains(oneLine(err), "\n") {
		t.Errorf("%q names a file that is not there, or has lines", oneLine(err))
	}
}

func TestALibraryWithoutAFunctionIsRefused(t *testing.T) {
	var names []string
	switch {
	case len(driverNames) == 2: // linux
		names = []string{"libc.so.6"}
	case len(driverNames) == 1 && strings.HasSuffix(driverNames[0], ".dll"):
		names = []string{"kernel32.dll"}
	default:
		t.Skip("no library opens on this system")
	}
	err := openAny(names, func(l library) error {
		var f uintptr
		return l.resolve(map[string]*uintptr{"cublasLtThereIsNone": &f})
	})
	if err == nil || !strings.Contains(err.Error(), "cublasLtThereIsNone") {
		t.Errorf("got %v", err)
	}
}

func TestAnOldCardIsRefusedByName(t *testing.T) {
	err := checkCapability(2, "Tesla V100", 70)
	if !errors.Is(err, ErrOldDevice) || !strings.Contains(err.Error(), "Tesla V100") || !strings.Contains(err.Error(), "7.0") || !strings.Contains(err.Error(), "8.0") {
		t.Errorf("got %v", err)
	}
	if err := checkCapability(0, "A100", 80); err != nil {
		t.Errorf("A100: %v", err)
	}
}

func TestOperandsOfACallShareAFloatType(t *testing.T) {
	d := &Device{}
	of := func(t device.DType, n int) *buffer { return &buffer{d: d, t: t, n: n, at: 1 << 20} }
	for name, c := range map[string]struct {
		a, b *buffer
		says string
	}{
		"the same":      {of(device.BFloat16, 4), of(device.BFloat16, 5), ""},
		"two types":     {of(device.BFloat16, 4), of(device.Float, 4), "b holds float elements, the operands before it bfloat16"},
		"bytes":         {of(device.Int8, 4), of(device.Float, 4), "a holds int8 elements"},
		"too short":     {of(device.Float16, 4), of(device.Float16, 3), "b has 3 elements, needs 4"},
		"another's":     {&buffer{d: &Device{}, t: device.Float, n: 4}, of(device.Float, 4), "a is not a buffer of this device"},
		"not a buffer ": {nil, of(device.Float, 4), "a is not a buffer"},
	} {
		t.Run(name, func(t *testing.T) {
			l := call{d: d, op: "test"}
			d.err = nil
			l.operand("a", c.a, 4)
			l.operand("b", c.b, 4)
			if c.says == "" {
				if l.failed || l.kernel("add") != "add_bf16" || l.width() != 2 {
					t.Errorf("%v, kernel %s, %d bytes", l.err, l.kernel("add"), l.width())
				}
			} else if !l.failed || !strings.Contains(l.err.Error(), c.says) || d.err == nil {
				t.Errorf("got %v, want %q", l.err, c.says)
			}
		})
	}
}

func TestSlicesAreCutInElements(t *testing.T) {
	for dt, want := range map[device.DType]uint64{device.Float: 4096 + 12, device.BFloat16: 4096 + 6, device.Float16: 4096 + 6, device.Int8: 4096 + 3} {
		s := (&buffer{t: dt, at: 4096, n: 10}).Slice(3, 7).(*buffer)
		if s.at != want || s.n != 4 || s.t != dt {
			t.Errorf("%v: %+v", dt, s)
		}
	}
}

func TestAFloat64IsRoundedToANarrowTypeOnce(t *testing.T) {
	for v, want := range map[float64]float32{
		1 + 0x1p-8 + 0x1p-40:   1 + 0x1p-7, // float32 would end on the tie, which goes to even
		1 + 0x1p-8 - 0x1p-40:   1,
		1 + 0x1p-8:             1,
		-1 - 0x1p-8 - 0x1p-40:  -1 - 0x1p-7,
		1 + 3*0x1p-8 - 0x1p-40: 1 + 0x1p-7,
		0.1:                    safetensors.BF16ToFloat32(0x3dcd),
		1e300:                  float32(math.Inf(1)),
	} {
		if got := safetensors.BF16ToFloat32(safetensors.Float32ToBF16(sticky(v))); got != want {
			t.Errorf("%v became %v, want %v", v, got, want)
		}
	}
}

func TestBlocksAreEvenAndStayInScratch(t *testing.T) {
	for _, c := range []struct{ vocabulary, rows, limit, blockV int }{
		{152_064, 2048, 16 << 20, 8192}, {152_064, 100, 16 << 20, 152_064}, {152_064, 2048, 1, 64}, {33, 7, 1 << 20, 33}, {152_064, 2047, 16 << 20, 8192},
	} {
		if rows, got := tile(c.vocabulary, c.rows, c.limit); rows != c.rows || got != c.blockV {
			t.Errorf("%+v gave %d by %d", c, rows, got)
		}
	}
	if got := even(2048, 257); got != 256 {
		t.Errorf("2048 rows in blocks of at most 257 gave %d", got)
	}
	const limit = 64 << 20
	for _, c := range []struct{ n, each, want int }{ // each of n takes so many bytes
		{18_944, 4 * 2048, 6336}, {3584, 4 * 2048, 3584}, {64, 4 * 17, 64}, {3584, 4 * 300_000, 64}, {8191, 4 * 2048, 8191},
		{18_944, 2 * 3584, 6336}, {18_944, 2 * 18_944, 1728}, {7, 14, 7}, {4096, 2 << 20, 64},
	} {
		block := evenBlock(c.n, limit/c.each)
		if block != c.want || (block > 64 && c.each*block > limit) {
			t.Errorf("%d of %d bytes in blocks of %d, want %d", c.n, c.each, block, c.want)
		}
	}
}

func TestCodesAreMultipliedWhereOutliersAreFew(t *testing.T) {
	for _, c := range []struct {
		n, k, outliers int
		codes          uint64
		want           bool
	}{
		{3584, 3584, 0, 256, true}, {3584, 3584, 448, 256, true}, {3584, 3584, 449, 256, false}, {18_944, 18_944, 18_944, 256, false},
		{64, 64, 8, 256, true}, {64, 64, 9, 256, false}, {62, 64, 0, 256, false}, {64, 40, 0, 256, false}, {64, 64, 0, 8, false},
	} {
		p := int8Product{weights: c.codes, n: c.n, int8Activations: int8Activations{k: c.k, outliers: c.outliers}}
		if p.codesPay() != c.want {
			t.Errorf("%+v: %t", c, !c.want)
		}
	}
}
