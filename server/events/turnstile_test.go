package events

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestTurnsComeNoFasterThanTheirTime(t *testing.T) {
	var turns Turnstile
	const readers = 3 * turnsInStore
	start := time.Now()
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			if err := turns.Wait(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took, least := time.Since(start), (readers-turnsInStore-1)*turnEvery; took < least {
		t.Errorf("%d turns in %v, want at least %v", readers, took, least)
	}
}

func TestOneWhoGoesDoesNotWaitForItsTurn(t *testing.T) {
	var turns Turnstile
	turns.next = time.Now().Add(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if err := turns.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
