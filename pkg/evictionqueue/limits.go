package evictionqueue

import (
	"container/list"
	"time"
)

const (
	// reservePart and leastReserve say how many slots a namespace leaves to others: one in ten, and at least 4.
	reservePart, leastReserve = 10, 4
	// manyFailures in a row mean that something is out of order that concerns all pods of a namespace.
	manyFailures = 5
	// forgetAfter is how long the failures of a node or namespace are remembered that has nothing due any more.
	forgetAfter = 10 * time.Minute
)

// limits say how many pods may be handed out at the same time: of all, and of each node and namespace.
//
// A namespace may use all slots that others do not, but for a reserve. So a namespace that is alone has nearly all of them, and
// whoever comes later finds a place at once, even if each call takes long. A node leaves half as much: where one namespace
// fills a node, others have a place there too.
//
// An attempt that hangs holds its slot until a timeout. So each failure halves the limit of its node and namespace, down to
// one, and each success doubles it again.
type limits struct {
	// slots is how many pods may be handed out at the same time, and inFlight how many are.
	slots, inFlight int
}

// key is what is known of a node or namespace that has pods due or handed out, or had failures.
type key struct {
	name   string
	isNode bool
	// queued counts its flows in the fair queue, and inFlight its pods that are handed out.
	queued, inFlight int
	// limit is its own limit after failures; 0 without.
	limit int
	// failures counts those in a row.
	failures int
	// idle is its place among the keys that are only remembered, since idleSince; nil for others.
	idle      *list.Element
	idleSince time.Time
}

// most returns how many of so many slots a key may use.
func (k *key) most(slots int) int {
	reserve := min(slots/2, max(leastReserve, slots/reservePart))
	if k.isNode {
		reserve /= 2
	}
	return slots - reserve
}

// room returns how many more pods of a key may be handed out. While a slot is free, a key with nothing in flight has room.
func (l *limits) room(k *key) int {
	most := k.most(l.slots - l.inFlight + k.inFlight)
	if k.limit > 0 {
		most = min(most, k.limit)
	}
	return most - k.inFlight
}

// ended notes how an attempt of a key ended, and reports whether it is the first one that succeeded after many that failed.
func (l *limits) ended(k *key, failed bool) (recovered bool) {
	most := k.most(l.slots)
	if failed {
		if k.limit == 0 {
			k.limit = most
		}
		k.limit = max(1, min(most, k.limit)/2)
		k.failures++
		return false
	}
	recovered = k.failures >= manyFailures
	k.failures = 0
	if k.limit *= 2; k.limit >= most {
		k.limit = 0
	}
	return recovered
}

// remembered reports whether forgetting the key would lose something.
func (k *key) remembered() bool { return k.limit > 0 || k.failures > 0 }
