package fleet

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/filelock"
)

// Folder is where the fleet keeps its files below a data folder.
func Folder(data string) string { return filepath.Join(data, "fleet") }

const (
	tokenFile   = "tokens.json"
	tokenPrefix = "triality-worker-1"
)

// Token lets a worker join. Its text is a line of a file that only its user reads.
type Token struct {
	ID     string
	Secret string
	Pin    string // hex SHA-256 of the server's public key, which the worker holds it to
}

// String is the token's text.
func (t Token) String() string {
	return strings.Join([]string{tokenPrefix, t.ID, t.Secret, t.Pin}, ".")
}

// parseToken reads a token; ok is false where the text is none of ours, but perhaps one of another NATS server.
func parseToken(text string) (t Token, ok bool) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 4 || parts[0] != tokenPrefix {
		return t, false
	}
	return Token{ID: parts[1], Secret: parts[2], Pin: parts[3]}, true
}

// Grant is what the server keeps of a token: never its secret.
type Grant struct {
	ID     string    `json:"id"`
	Hash   string    `json:"sha256"`         // of the secret, which is random and long
	Name   string    `json:"name,omitempty"` // of the one worker that may use it; empty: any
	MadeAt time.Time `json:"made_at"`
}

// Tokens are the tokens of a data folder. Its file is read at every use, so that another process may make and
// revoke them.
type Tokens struct{ dir string }

// OpenTokens gives the tokens of a data folder.
func OpenTokens(data string) (Tokens, error) {
	if err := disk.MkdirAll(Folder(data), 0o700); err != nil {
		return Tokens{}, fmt.Errorf("tokens: %w", err)
	}
	return Tokens{Folder(data)}, nil
}

// List gives what is kept of each token, the oldest first.
func (t Tokens) List() ([]Grant, error) {
	text, err := os.ReadFile(filepath.Join(t.dir, tokenFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	var list []Grant
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s: %w; remove it and make the tokens anew", filepath.Join(t.dir, tokenFile), err)
	}
	return list, nil
}

// Make makes a token for the worker of that name, or for any.
func (t Tokens) Make(name string) (Token, error) {
	if name != "" {
		if err := CheckName(name); err != nil {
			return Token{}, err
		}
	}
	cert, err := ownCertificate(t.dir)
	if err != nil {
		return Token{}, err
	}
	token := Token{ID: strings.ToLower(rand.Text()[:8]), Secret: rand.Text() + rand.Text(), Pin: pinOf(cert.Leaf)}
	return token, t.change(func(list []Grant) ([]Grant, error) {
		return append(list, Grant{ID: token.ID, Hash: hashed(token.Secret), Name: name, MadeAt: time.Now().UTC()}), nil
	})
}

// Revoke takes a token back: its workers are refused from now on.
func (t Tokens) Revoke(id string) error {
	return t.change(func(list []Grant) ([]Grant, error) {
		i := slices.IndexFunc(list, func(g Grant) bool { return g.ID == id })
		if i < 0 {
			return nil, experiments.Errorf(experiments.CodeNotFound, "token %.40q: there is none; `triality worker tokens` lists them", id)
		}
		return slices.Delete(list, i, i+1), nil
	})
}

func (t Tokens) change(do func([]Grant) ([]Grant, error)) error {
	unlock, err := locked(t.dir)
	if err != nil {
		return err
	}
	defer unlock()
	list, err := t.List()
	if err == nil {
		list, err = do(list)
	}
	if err != nil {
		return err
	}
	err = atomicfile.WriteFile(filepath.Join(t.dir, tokenFile), 0o600, func(w io.Writer) error {
		_, err := w.Write(encode(list))
		return err
	})
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return nil
}

// locked keeps other processes from changing the fleet's files until unlock.
func locked(dir string) (unlock func(), err error) {
	for {
		if unlock, err = filelock.Try(filepath.Join(dir, "lock")); err != nil {
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		if unlock != nil {
			return unlock, nil
		}
		time.Sleep(10 * time.Millisecond) // another command is at it
	}
}

// check says whether a text is a token that a worker of that name may use.
func (t Tokens) check(text, name string) (id string, err error) {
	token, ok := parseToken(text)
	if !ok {
		return "", errors.New("no worker's token")
	}
	list, err := t.List()
	if err != nil {
		return "", err
	}
	for _, g := range list {
		if g.ID != token.ID || subtle.ConstantTimeCompare([]byte(g.Hash), []byte(hashed(token.Secret))) != 1 {
			continue
		}
		if g.Name != "" && g.Name != name {
			return "", fmt.Errorf("token %s is for worker %s alone", g.ID, g.Name)
		}
		return g.ID, nil
	}
	return "", errors.New("unknown or revoked token")
}

// stands says whether a token was not revoked.
func (t Tokens) stands(id string) (bool, error) {
	list, err := t.List()
	return slices.ContainsFunc(list, func(g Grant) bool { return g.ID == id }), err
}

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
