package chat_test

import (
	"fmt"
	"log"

	"triality/runtime/chat"
)

// chatML stands for a *tokenizer.Tokenizer, which brings the template of its model.
type chatML struct{}

func (chatML) ChatTemplates() map[string]string {
	return map[string]string{"default": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
		"{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"}
}

func (chatML) SpecialTokens() map[string]string { return nil }

// Render a conversation as the model's template has it.
func Example() {
	template, err := chat.New(chatML{}, "")
	if err != nil {
		log.Fatal(err)
	}
	text, err := template.Render(chat.NewMessages(
		chat.Message{Role: "system", Content: "Answer with one word."},
		chat.Message{Role: "user", Content: "May I?"},
	), chat.Options{AddGenerationPrompt: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
	// Output:
	// <|im_start|>system
	// Answer with one word.<|im_end|>
	// <|im_start|>user
	// May I?<|im_end|>
	// <|im_start|>assistant
}
