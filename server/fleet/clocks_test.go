package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/server/worker"
)

// What a worker whose clock is wrong records has the server's time.
func TestRecordsHaveTheServersTimeWhateverTheWorkersClockShows(t *testing.T) {
	t.Parallel()
	for _, wrong := range []time.Duration{-time.Hour, time.Hour, -10 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		t.Run(wrong.String(), func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := served(t, data)
			a, err := NewAgent(AgentOptions{
				Access: Access{URL: s.Address(), Text: token(t, data, "")}, Name: "one", Dir: t.TempDir(), Info: testInfo, Files: sharedFiles{}, Logger: logger(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			a.wall = func() time.Time { return time.Now().Add(wrong) }
			run(t, a)
			tracker := &notes{}
			began := time.Now()
			if err := room(t, s).Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "clock", Dir: t.TempDir()}, tracker, &buffer{}); err != nil {
				t.Fatal(err)
			}
			// The job's process has this machine's clock, which is right, and goes by how wrong it was said to be.
			at, slack := tracker.saved.EndedAt.Add(wrong), 2*time.Second // of the question and its answer
			if at.Before(began.Add(-slack)) || at.After(time.Now().Add(slack)) {
				t.Errorf("recorded %v, of a job between %v and %v", at, began, time.Now())
			}
		})
	}
}

// A worker that holds the server to a certificate of an authority needs a clock at which it holds; it says so once,
// and comes in when the clock is right.
func TestACertificateThatDoesNotHoldNowIsSaidWithTheClock(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]time.Duration{"expired": -2 * time.Hour, "not yet": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, ca := certificate(t, time.Now().Add(shift), time.Now().Add(shift+time.Hour))
			data := t.TempDir()
			s, err := Open(context.Background(), Options{Data: data, Address: "127.0.0.1:0", Certificate: &cert, Version: testVersion, Engine: testEngine})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			var said []string
			_, err = dial(ctx, Access{URL: s.Address(), Text: token(t, data, ""), CA: ca}, "one", time.Second, func(err error) { said = append(said, err.Error()) })
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if len(said) != 1 || !strings.Contains(said[0], "this machine's clock shows") || !strings.Contains(said[0], cert.Leaf.NotAfter.Format(time.RFC3339)) {
				t.Errorf("said %q", said)
			}
		})
	}
}

// certificate is one of 127.0.0.1 that holds between two times, and the file of its authority: itself.
func certificate(t *testing.T, from, to time.Time) (cert tls.Certificate, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, ca
}
