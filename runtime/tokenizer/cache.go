package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync"
)

const (
	cacheShards = 32
	// shardWords bounds each shard; once full it keeps what it has, since the
	// frequent words came first.
	shardWords = 4096
	// longestCached: longer words hardly come twice.
	longestCached = 128
)

// cache remembers the ids of words. The zero value is ready; all methods may be
// called concurrently.
type cache struct {
	seed   maphash.Seed
	once   sync.Once
	shards [cacheShards]struct {
		sync.RWMutex
		ids map[string][]int32
	}
}

func (c *cache) shard(word string) int {
	c.once.Do(func() { c.seed = maphash.MakeSeed() })
	return int(maphash.String(c.seed, word) % cacheShards)
}

// get returns ids that the caller must not change.
func (c *cache) get(word string) ([]int32, bool) {
	if len(word) > longestCached {
		return nil, false
	}
	s := &c.shards[c.shard(word)]
	s.RLock()
	ids, ok := s.ids[word]
	s.RUnlock()
	return ids, ok
}

func (c *cache) put(word string, ids []int32) {
	if len(word) > longestCached {
		return
	}
	s := &c.shards[c.shard(word)]
	s.Lock()
	defer s.Unlock()
	if s.ids == nil {
		s.ids = make(map[string][]int32)
	}
	if len(s.ids) < shardWords {
		// Cloned: the word is a part of a text that would be kept alive whole.
		s.ids[strings.Clone(word)] = ids
	}
}
