package think

import "unicode"

// fixedTexts are what those hear whose query is not answered, by verdict and language.
var fixedTexts = map[string]map[string]string{
	"ESCALATION": {
		"en": "A person has to decide on this. Your request has been handed on and will be looked at.",
		"ja": "このご依頼は担当者の判断が必要です。お預かりし、担当者が確認します。",
	},
	"DENY": {
		"en": "This is not something that can be done here.",
		"ja": "このご依頼はお受けできません。",
	},
	"REFUSE": {
		"en": "This request is refused.",
		"ja": "このご依頼はお断りします。",
	},
}

func fixedText(verdict string, q Query) string {
	language := q.Language
	if language == "" {
		language = LanguageOf(q.Text)
	}
	return fixedTexts[verdict][language]
}

// LanguageOf is ja where a text has kana or Han characters, else en.
func LanguageOf(text string) string {
	for _, r := range text {
		if unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) {
			return "ja"
		}
	}
	return "en"
}
