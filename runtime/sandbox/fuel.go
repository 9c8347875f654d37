package sandbox

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// errEmpty ends a call of WASI that the module has no fuel for.
var errEmpty = errors.New("out of fuel")

// gauge reads and fills the account of one instance. The zero gauge belongs to
// no instance.
type gauge struct {
	account api.MutableGlobal
	full    int64
}

func (g *gauge) fill() { g.account.Set(uint64(g.full)) }

func (g *gauge) left() int64 {
	if g.account == nil {
		return g.full
	}
	return int64(g.account.Get())
}

// used is the fuel spent since the last filling; more than was filled where
// the last block did not fit.
func (g *gauge) used() int64 { return g.full - g.left() }

func (g *gauge) empty() bool { return g.left() < 0 }

// Before implements experimental.FunctionListener on the WASI functions, which
// are Go and keep no account of their own: the module pays for what they go
// through. Its account is in the global while it calls.
func (g *gauge) Before(_ context.Context, _ api.Module, def api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
	price := int64(priceHostCall)
	switch def.Name() {
	case "random_get":
		price += int64(uint32(params[1]))
	case "fd_write", "poll_oneoff": // a vector of writes, of subscriptions
		price += 64 * int64(uint32(params[2]))
	}
	left := g.left() - price
	g.account.Set(uint64(left))
	if left < 0 {
		panic(errEmpty)
	}
}

// After implements experimental.FunctionListener.
func (g *gauge) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort implements experimental.FunctionListener.
func (g *gauge) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// NewFunctionListener implements experimental.FunctionListenerFactory.
func (g *gauge) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener { return g }
