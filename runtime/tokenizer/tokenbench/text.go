package tokenbench

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text makes documents of at least size bytes in all, valid UTF-8, from the seed: English, Japanese and
// code for the most part, and among them emoji, long white space, rare and unassigned characters,
// controls, long runs, and what special tokens look like. The same seed gives the same text.
func Text(seed uint64, size int) []string {
	w := &writer{Rand: rand.New(rand.NewPCG(seed, 0))}
	kinds := w.kinds()
	var docs []string
	for size > 0 {
		w.Reset()
		for want := 100 + w.IntN(6000); w.Len() < want; {
			kinds[w.IntN(len(kinds))]()
		}
		docs = append(docs, w.String())
		size -= w.Len()
	}
	return docs
}

type writer struct {
	*rand.Rand
	strings.Builder
}

// kinds lists what writes a fragment, as often as it is wanted in a hundred.
func (w *writer) kinds() []func() {
	var all []func()
	for _, k := range []struct {
		weight int
		write  func()
	}{
		{34, w.english}, {22, w.japanese}, {20, w.code}, {4, w.emoji}, {4, w.space}, {5, w.rare},
		{3, w.marks}, {2, w.controls}, {3, w.numbers}, {1, w.runs}, {2, w.tokens},
	} {
		for range k.weight {
			all = append(all, k.write)
		}
	}
	return all
}

func (w *writer) of(list []string) { w.WriteString(list[w.IntN(len(list))]) }

// times calls f from least to most times.
func (w *writer) times(least, most int, f func()) {
	for range least + w.IntN(most-least+1) {
		f()
	}
}

func (w *writer) between(from, to rune) { w.WriteRune(from + w.Int32N(to-from+1)) }

func (w *writer) english() {
	w.times(4, 40, func() {
		at := w.Len()
		w.of(englishWords)
		switch w.IntN(20) {
		case 0:
			w.of(contractions)
		case 1:
			word := w.String()[at:]
			w.WriteString("-" + strings.ToUpper(word))
		}
		w.of(englishGaps)
	})
	w.of([]string{".\n", ". ", "!\n\n", "?  ", "\r\n", "…\n"})
}

// japanese mixes sentences of words with characters drawn one by one, which make words that no
// vocabulary has.
func (w *writer) japanese() {
	w.times(1, 12, func() {
		switch w.IntN(6) {
		case 0:
			w.times(1, 6, func() { w.between('ぁ', 'ゖ') })
		case 1:
			w.times(1, 8, func() { w.between('ァ', 'ヺ') })
		case 2:
			w.times(1, 4, func() { w.between('一', '龯') })
		case 3:
			w.times(1, 6, func() { w.between('｡', 'ﾟ') }) // half width
		default:
			w.of(japaneseWords)
			w.of(japaneseParticles)
		}
	})
	w.of([]string{"。", "。\n", "、", "！", "？\n", "\u3000", "」"})
}

func (w *writer) code() {
	w.times(1, 6, func() {
		indent := w.of2([]string{"\t", "  ", "    ", " "}, w.IntN(6))
		line := codeLines[w.IntN(len(codeLines))]
		for strings.Contains(line, "$") {
			line = strings.Replace(line, "$", w.name(), 1)
		}
		w.WriteString(indent + line)
		w.of([]string{"\n", "\n", "\n", "\r\n", " // TODO?\n", ";\n\n"})
	})
}

// of2 is one of the list n times.
func (w *writer) of2(list []string, n int) string { return strings.Repeat(list[w.IntN(len(list))], n) }

func (w *writer) name() string {
	a, b := englishWords[w.IntN(len(englishWords))], englishWords[w.IntN(len(englishWords))]
	switch w.IntN(5) {
	case 0:
		return a + "_" + b
	case 1:
		first, n := utf8.DecodeRuneInString(b)
		return a + string(unicode.ToUpper(first)) + b[n:]
	case 2:
		return "_" + a + strconv.Itoa(w.IntN(100))
	case 3:
		return strings.ToUpper(a)
	}
	return a
}

func (w *writer) emoji() {
	w.times(1, 12, func() {
		switch w.IntN(6) {
		case 0: // a flag: two letters
			w.between(0x1f1e6, 0x1f1ff)
			w.between(0x1f1e6, 0x1f1ff)
		case 1: // a person of a skin tone with a thing
			w.between(0x1f466, 0x1f469)
			w.between(0x1f3fb, 0x1f3ff)
			w.WriteString("\u200d💻")
		case 2:
			w.WriteString("👨\u200d👩\u200d👧\u200d👦")
		case 3: // a keycap
			w.between('0', '9')
			w.WriteString("\ufe0f\u20e3")
		case 4:
			w.between(0x2600, 0x27bf)
			w.WriteString("\ufe0f")
		default:
			w.between(0x1f300, 0x1faff)
		}
		if w.IntN(3) == 0 {
			w.WriteByte(' ')
		}
	})
}

func (w *writer) space() {
	runs := []string{" ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u3000", "\u2028", "\u2003", "\u0085", "\v", "\f", "\u1680", "\u200b"}
	w.times(1, 4, func() {
		n := 1 + w.IntN(20)
		if w.IntN(20) == 0 {
			n = w.IntN(3000)
		}
		w.WriteString(w.of2(runs, n))
	})
}

// rare draws from scripts that vocabularies know little of, and from what is no character at all.
func (w *writer) rare() {
	blocks := [][2]rune{
		{0x0370, 0x05ff}, {0x0600, 0x06ff}, {0x0900, 0x0dff}, {0x0e00, 0x0fff}, {0x1000, 0x11ff}, {0x1200, 0x18af},
		{0x1e00, 0x1fff}, {0x2000, 0x2bff}, {0x2e80, 0x2fdf}, {0xa000, 0xabff}, {0xac00, 0xd7a3}, {0xe000, 0xf8ff},
		{0xf900, 0xfdff}, {0xfe00, 0xffff}, {0x10000, 0x10fff}, {0x11000, 0x12fff}, {0x13000, 0x143ff},
		{0x16800, 0x18cff}, {0x1d000, 0x1d7ff}, {0x20000, 0x2fa1f}, {0x30000, 0x3ffff}, {0xe0000, 0xe01ef}, {0x100000, utf8.MaxRune},
	}
	block := blocks[w.IntN(len(blocks))]
	w.times(1, 30, func() {
		w.between(block[0], block[1])
		if w.IntN(8) == 0 {
			w.WriteByte(' ')
		}
	})
}

// marks are letters under combining marks, composed, decomposed and in no canonical order.
func (w *writer) marks() {
	w.times(1, 20, func() {
		switch w.IntN(5) {
		case 0:
			w.of([]string{"e\u0301", "é", "A\u030a", "Å", "\u212b", "か\u3099", "が", "ﬁ", "ｶ\uff9e", "각", "\u1100\u1161\u11a8"})
		case 1:
			w.between('a', 'z')
			w.times(1, 40, func() { w.between(0x300, 0x36f) })
		default:
			w.between('a', 'z')
			w.times(1, 3, func() { w.between(0x300, 0x345) })
		}
	})
}

func (w *writer) controls() {
	w.times(1, 20, func() {
		switch w.IntN(4) {
		case 0:
			w.between(0x7f, 0x9f)
		case 1:
			w.of([]string{"\ufeff", "\u200d", "\u200e", "\u202e", "\u2066", "\ufffd", "\u00ad", "\U000e0041"})
		default:
			w.between(0, 0x1f)
		}
	})
}

func (w *writer) numbers() {
	w.times(1, 8, func() {
		w.times(1, 25, func() { w.between('0', '9') })
		w.of([]string{" ", ".", ",", "%", "e+", "/", ":", "０１２", "²", "Ⅷ", "٣", "\n"})
	})
}

// runs are long words of one or two characters, where merging meets its worst.
func (w *writer) runs() {
	pairs := []string{"a", "=", "-", "ab", "あ", "笑", "!", "0", "🙂", "\\", "ha", "é"}
	w.WriteString(w.of2(pairs, 20+w.IntN(800)))
}

func (w *writer) tokens() {
	w.times(1, 3, func() {
		w.of([]string{"", "", " ", "\n"})
		w.of(tokenTexts)
		w.of([]string{"", "", "  ", "\n"})
	})
}

var (
	contractions = []string{"'s", "'T", "'re", "'VE", "'m", "'ll", "'d", "’s", "n't"}
	englishGaps  = []string{" ", " ", " ", " ", " ", " ", ", ", "; ", " — ", " (", ") ", "\n", "  ", "/", ": \"", "\" "}

	englishWords = strings.Fields(`the of and to in is that it was for on are as with his they at be this from have or by one had
		not but what all were when we there can an your which their said if do will each about how up out them then she many
		some so these would other into has more her two like him see time could no make than first been its who now people
		my made over did down only way find use may water long little very after words called just where most know get
		through back much before go good new write our used me man too any day same right look think also around another
		came come work three word must because does part even place well such here take why things help put years different
		away again off went old number great tell men say small every found still between name should home big give air line
		set own under read last never us left end along while might next sound below saw something thought both few those
		always looked show large often together asked house don world going want school important until form food keep
		children feet land side without boy once animals life enough took sometimes four head above kind began almost live
		page got earth need far hand high year mother light parts country father let night following picture being study
		second eyes soon times story boys since white days ever paper hard near sentence better best across during today
		others however sure means knew try told young miles sun ways thing whole hear example heard several change answer
		room sea against top turned learn point city play toward five using himself usually money seen car morning
		transformer tokenizer attention gradient checkpoint authorization escalation quantization internationalization
		antidisestablishmentarianism Kubernetes PostgreSQL iPhone McDonald naïve café façade Zürich Ångström jalapeño`)

	japaneseWords = strings.Fields(`東京 大阪 学校 先生 学生 会社 仕事 時間 今日 明日 昨日 天気 電車 電話 映画 音楽 料理 日本語 英語 言葉
		問題 質問 答え 安全 危険 許可 拒否 上司 確認 申請 承認 個人情報 機械学習 人工知能 深層学習 言語模型 行列 勾配 回転 試験
		コンピューター プログラム データ モデル テスト サーバー ネットワーク セキュリティ インターネット ありがとう ください
		すみません おはよう こんにちは 食べる 飲む 行く 来る 見る 聞く 話す 読む 書く 考える 思う 分かる できる 美しい 大きい
		小さい 新しい 古い 高い 安い 難しい 易しい 面白い 楽しい 嬉しい 悲しい 株式会社 東京都渋谷区 令和七年 二〇二六年`)
	japaneseParticles = []string{"は", "が", "を", "に", "で", "と", "の", "も", "から", "まで", "です", "ます", "でした", "ません", "、", "って", "ている", ""}

	codeLines = []string{
		`func $(ctx context.Context, $ *$) ($, error) {`, `if err := $.$($); err != nil { return fmt.Errorf("$: %w", err) }`,
		`for i := range $ { $[i] += $ * 0x1F }`, `def $(self, $: int = 0) -> dict[str, $]:`, `    return {k: v for k, v in $.items() if v is not None}`,
		`import numpy as np; $ = np.zeros((3, 224, 224), dtype=np.float32)`, `SELECT $, COUNT(*) FROM $ WHERE $ >= '2026-11-22' GROUP BY $;`,
		`<div class="$" id='$'>&nbsp;$</div>`, `{"$": [1, 2.5e-3, true, null], "$": "\u00e9\n"}`, `#define $(x) ((x) << 3 | (x) >> 29)`,
		`const $ = async ({ $, ...rest }) => await fetch(` + "`https://example.org/${$}?q=${$}`" + `);`, `git commit -m "$: fix #123" && ./run.sh --$=4`,
		`template <typename T> auto $(T&& x) -> decltype(x.$()) { return std::forward<T>(x).$(); }`, `# $ = lambda x: x ** 2 if x != 0 else ~x`,
		`- name: $`, `|  $  |  $  |`, `/* $ */ int *$ = &$[$ % 8];`, `}`, `})`, `	]);`, `\begin{equation} \sum_{i=0}^{n} $_i^2 \end{equation}`,
	}

	tokenTexts = []string{
		"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<s>", "</s>", "<unk>",
		"<think>", "</think>", "<tool_call>", "<|im_start", "|im_end|>", "<0x0A>", "▁", "▁▁word", "Ġ", "<|placeholder1|>", "[INST]", "<|vision_start|>",
	}
)
