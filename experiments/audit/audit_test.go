package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeded makes an item of a kind: for those with a check digit, right or wrong by one.
func seeded(rng *rand.Rand, kind string, right bool) string {
	number := func(n int) (d []int) {
		for range n {
			d = append(d, rng.IntN(10))
		}
		return d
	}
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	joined := func(d []int, every int, mark string) string {
		var b strings.Builder
		for i, v := range d {
			if every > 0 && i > 0 && i%every == 0 {
				b.WriteString(mark)
			}
			fmt.Fprint(&b, v)
		}
		return b.String()
	}
	switch kind {
	case Card:
		d := append([]int{4}, number(15)...)
		d[1], d[2] = 1, 7
		for d[15] = 0; !luhn(d); d[15]++ {
		}
		if !right {
			d[15] = (d[15] + 1 + rng.IntN(9)) % 10
		}
		return joined(d, pick2(rng, 0, 4), pick(" ", "-"))
	case MyNumber:
		d := number(12)
		d[0], d[1] = 8, 3 // else a telephone's
		for d[11] = 0; !myNumber(d); d[11]++ {
			if d[11] == 9 {
				d[10] = (d[10] + 1) % 10
				d[11] = -1
			}
		}
		if !right {
			d[11] = (d[11] + 1 + rng.IntN(9)) % 10
		}
		return joined(d, pick2(rng, 0, 4), pick(" ", "-"))
	case Email:
		return pick("taro.yamada", "a+b", "x_1", "info") + "@" + pick("example.co.jp", "mail.example.com", "a-b.org")
	case Telephone:
		return pick(fmt.Sprintf("090-%04d-%04d", rng.IntN(10000), rng.IntN(10000)), fmt.Sprintf("03-%04d-%04d", 1000+rng.IntN(9000), rng.IntN(10000)),
			fmt.Sprintf("080%08d", rng.IntN(100000000)), fmt.Sprintf("+81 90 %04d %04d", rng.IntN(10000), rng.IntN(10000)), fmt.Sprintf("(415) 555-%04d", rng.IntN(10000)),
			fmt.Sprintf("０９０－%04d－%04d", rng.IntN(10000), rng.IntN(10000)))
	case Address:
		return pick("〒150-0002", "東京都渋谷区渋谷2丁目21番1号", "大阪府大阪市北区梅田1-1-3", "神奈川県横浜市西区高島二丁目", "221 Baker Street", "1600 Pennsylvania Avenue")
	case IP:
		return pick(fmt.Sprintf("203.0.113.%d", rng.IntN(256)), fmt.Sprintf("10.1.%d.7", rng.IntN(256)), "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a")
	}
	return pick("AKIA"+"IOSFODNN7EXAMPLE", "ghp_"+strings.Repeat("a1B2", 9), "-----BEGIN RSA "+"PRIVATE KEY-----", "password: hunter2hunter2", "sk-"+strings.Repeat("Z9", 16))
}

func pick2(rng *rand.Rand, a, b int) int {
	if rng.IntN(2) == 0 {
		return a
	}
	return b
}

var around = [][2]string{{"Please send it to ", " today."}, {"私の連絡先は", "です。"}, {"(", ")"}, {"", ""}, {"番号：", "、よろしく"}, {"see ", ", and tell me"}}

func TestEverySeededItemIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 6))
	for _, kind := range Kinds {
		for range 300 {
			item := seeded(rng, kind, true)
			frame := around[rng.IntN(len(around))]
			text := frame[0] + item + frame[1]
			found := Find(text)
			if len(found) != 1 || found[0].Kind != kind || !strings.Contains(text[found[0].Start:found[0].End], strings.TrimPrefix(item, "password: ")) {
				t.Errorf("%s in %q: %v", kind, text, found)
			}
			hidden, _ := Redact(text)
			if strings.Contains(hidden, strings.TrimPrefix(item, "password: ")) || !strings.Contains(hidden, "["+strings.ToUpper(kind)+"]") {
				t.Errorf("%q redacted is %q", text, hidden)
			}
		}
	}
}

func TestTwoItemsSideBySideAreBothFound(t *testing.T) {
	for text, want := range map[string]string{
		"room 5 090-1234-5678, 12 4111 1111 1111 1111": "room 5 [TELEPHONE], 12 4111 1111 1111 1111", // 12 could be of the card's number
		"4111111111111111 090-1234-5678":               "[CARD] [TELEPHONE]",
		"a@example.com,b@example.com":                  "[EMAIL],[EMAIL]",
		"10.0.0.1 10.0.0.2":                            "[IP] [IP]",
		"カード４１１１１１１１１１１１１１１１と電話０３－１２３４－５６７８": "カード[CARD]と電話[TELEPHONE]",
	} {
		if got, _ := Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestANumberWithAWrongCheckDigitIsNotFlagged(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 7))
	for _, kind := range []string{Card, MyNumber} {
		for range 500 {
			item := seeded(rng, kind, false)
			frame := around[rng.IntN(len(around))]
			if found := Find(frame[0] + item + frame[1]); len(found) > 0 {
				t.Errorf("%s: %v", item, found)
			}
		}
	}
}

func TestWhatOnlyLooksAlikeIsLeft(t *testing.T) {
	for _, text := range []string{
		"", "4179 0959 3350 0012 4 1 2", "1111 1111 1111", "4444444444444444", "at 12:30:45", "version 1.2.3.4.5", "go1.26.0", "127.0.0.1", "::1", "2026-11-30", "user@localhost", "@name",
		"ratio 3:2:1", "999.1.1.1", "the password: please", "password: correct-horse", "10,000,000,000 yen", "ISBN 978-4-00-310101-8", "第3回の2番目", "Type 5 Drive", "\xff\xfe0",
	} {
		if found := Find(text); len(found) > 0 {
			t.Errorf("%q: %v", text, found)
		}
	}
}

func TestTheSampleRaisesFewerThanOneFalseAlarmInAHundred(t *testing.T) {
	for _, folder := range []string{"../../configs/sample", "../../../shared/data/xsafety"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
		if err != nil || len(files) == 0 {
			t.Logf("%s is not here (%v)", folder, err)
			continue
		}
		rows, alarms := 0, 0
		for _, name := range files {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			for s := bufio.NewScanner(f); s.Scan(); rows++ {
				var r struct{ Instruction, Input, Output string }
				if err := json.Unmarshal(s.Bytes(), &r); err != nil {
					t.Fatal(err)
				}
				text := r.Instruction + "\n" + r.Input + "\n" + r.Output
				if found := Find(text); len(found) > 0 {
					alarms++
					t.Logf("%s: %q", found[0].Kind, text[found[0].Start:found[0].End])
				}
			}
			f.Close()
		}
		if alarms*100 >= rows {
			t.Errorf("%s: %d alarms on %d rows", folder, alarms, rows)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("mail a@b.co, card 4111 1111 1111 1111")
	f.Add("０９０－１２３４－５６７８")
	f.Add("\xff\xfe@\xffa")
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, found := range Find(text) {
			if found.Start < end || found.End <= found.Start || found.End > len(text) {
				t.Fatalf("%q: %+v after %d", text, found, end)
			}
			end = found.End
		}
	})
}
