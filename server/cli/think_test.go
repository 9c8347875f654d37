package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/experiments/thinking"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/tokenizer"
	"triality/server/client"
)

// handmade is a model whose next token follows from the last one alone: every layer gives zero, so that what the embedding
// says of a token goes to the head. After a prompt it writes well-formed sections, and holds one label likeliest.
type handmade struct {
	cfg   model.Config
	specs []model.Spec
	dims  map[int]int             // of tokens that something follows
	next  map[int]map[int]float32 // token → what follows, with its weight
}

func (h *handmade) Names() (out []string) {
	for _, s := range h.specs {
		out = append(out, s.Name)
	}
	return out
}

func (h *handmade) Shape(name string) ([]int, bool) {
	for _, s := range h.specs {
		if s.Name == name {
			return s.Shape, true
		}
	}
	return nil, false
}

func (h *handmade) ReadAt(name string, dst []float32, at int) error {
	clear(dst)
	if strings.HasSuffix(name, "norm.weight") {
		for i := range dst {
			dst[i] = 1
		}
	}
	set := func(token, dim int, v float32) {
		if i := token*h.cfg.HiddenSize + dim - at; i >= 0 && i < len(dst) {
			dst[i] = v
		}
	}
	for token, dim := range h.dims {
		if strings.Contains(name, "embed_tokens") {
			set(token, dim, 1)
		}
		if strings.Contains(name, "lm_head") {
			for next, weight := range h.next[token] {
				set(next, dim, weight)
			}
		}
	}
	return nil
}

// after says that one token follows another.
func (h *handmade) after(token, next int, weight float32) error {
	if _, ok := h.dims[token]; !ok {
		h.dims[token], h.next[token] = len(h.dims), map[int]float32{}
	}
	if len(h.dims) > h.cfg.HiddenSize || weight == certain && len(h.next[token]) > 0 && h.next[token][next] == 0 {
		return errors.New("a token stands twice in what the model says")
	}
	h.next[token][next] = weight
	return nil
}

const certain, likely = 2, 1.5

// writeHandmade makes a model that judges everything as label and thinks "zxv", "kwj" and "qgb" before it says "Hi".
func writeHandmade(dir, label string) error {
	special := []string{"<|endoftext|>"}
	for _, s := range thinking.Sections {
		special = append(special, "<"+s+">", "</"+s+">")
	}
	texts := slices.Repeat(experiments.Labels, 4) // so that each is one token
	tok, err := tokenizer.Train(slices.Values(texts), 310, special)
	if err != nil {
		return err
	}
	cfg, err := model.Shapes()[0].Config("llama", tok.Size())
	if err != nil {
		return err
	}
	cfg.TieEmbeddings, cfg.EOS = false, []int{tok.EOS()}
	h := &handmade{cfg: cfg, specs: cfg.Specs(), dims: map[int]int{}, next: map[int]map[int]float32{}}
	format, err := dataset.NewFormat("instruction", nil)
	if err != nil {
		return err
	}
	prompt, _, err := format.EncodePrompt(tok, &dataset.Row{Instruction: "i", Input: "x"}, math.MaxInt)
	if err != nil {
		return err
	}
	last := int(prompt[len(prompt)-1])
	judged := append([]int{last}, tok.Encode(label, false)...)
	for i := range judged[1:] {
		weight := float32(certain)
		if i == 0 {
			weight = likely
		}
		if err := h.after(judged[i], judged[i+1], weight); err != nil {
			return err
		}
	}
	said := "<think-task>zxv</think-task><think-safety>kwj</think-safety><think-policy>qgb</think-policy><final>Hi</final>"
	ids := append(tok.Encode(said, false), tok.EOS())
	h.next[last][ids[0]] = certain
	for i := range ids[1:] {
		if err := h.after(ids[i], ids[i+1], certain); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(dir, 0o755), cfg.Save(dir), model.Save(dir, h, safetensors.F32), tok.Save(dir))
}

// writesThinker makes a model that writes sections: thinker FOLDER LABEL
func writesThinker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: thinker FOLDER LABEL")
	}
	ts.Check(writeHandmade(ts.MkAbs(args[0]), args[1]))
}

// asks sends a body to POST /think of the server of a data folder, and puts status and answer into a file:
// asks DATA ACCEPT BODY FILE
func asks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: asks DATA ACCEPT BODY FILE")
	}
	door, ok := client.Of(context.Background(), ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("no server")
	}
	req, err := http.NewRequest("POST", door.URL()+"/think", strings.NewReader(args[2]))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", args[1])
	res, err := (&http.Client{Timeout: time.Minute}).Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	var indented bytes.Buffer
	if json.Indent(&indented, body, "", " ") == nil {
		body = indented.Bytes()
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(res.Status+"\n"+string(body)), 0o644))
}
