package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
)

const certFile = "certificate.pem" // with its key

// ownCertificate reads the certificate that the server made itself, or makes it. Workers know it by the hash of
// its key, which is in their tokens, so neither a name nor a date in it matters.
func ownCertificate(dir string) (tls.Certificate, error) {
	path := filepath.Join(dir, certFile)
	unlock, err := locked(dir)
	if err != nil {
		return tls.Certificate{}, err
	}
	defer unlock()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if text, err = newCertificate(); err != nil {
			return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
		}
		err = atomicfile.WriteFile(path, 0o600, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return cert, experiments.Errorf(experiments.CodeInvalid, "%s: %w; remove it, and make the workers' tokens anew", path, err)
	}
	return cert, nil
}

func newCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	like := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "triality"}, DNSNames: []string{"triality"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(100, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

// pinOf is the hash of a certificate's public key.
func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// pinned accepts the one server whose key has that hash.
func pinned(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // what is checked instead is stronger: the key itself
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || pinOf(s.PeerCertificates[0]) != pin {
				return errors.New("the server's key is not the one that the token was made with")
			}
			return nil
		},
	}
}
