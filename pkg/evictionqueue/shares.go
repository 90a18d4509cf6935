package evictionqueue

import "math/bits"

// shares say how many pods of each node, or of each namespace, may be handed out at the same time: at most widest, and fewer
// for one whose attempts fail. An attempt that hangs holds its slot until a timeout, so without that a few that are blocked
// would hold all slots between them. Halving at each failure and doubling at each success finds what goes through.
type shares struct {
	widest int
	used   map[string]*holding
}

// holding is what is known of one that has pods handed out, or had failures. All others have the widest share.
type holding struct {
	handedOut int
	// halvings is how often its share is halved, down to one at last.
	halvings int
	// failures counts those in a row.
	failures int
}

// manyFailures in a row mean that something is out of order that concerns all pods of a namespace.
const manyFailures = 5

func (s *shares) share(h *holding) int { return max(1, s.widest>>h.halvings) }

func (s *shares) exhausted(name string) bool {
	h := s.used[name]
	return h != nil && h.handedOut >= s.share(h)
}

func (s *shares) use(name string) {
	if s.used[name] == nil {
		s.used[name] = &holding{}
	}
	s.used[name].handedOut++
}

// release gives back what use took, after an attempt that went well or not, and says whether it is the first that went well
// after many that did not.
func (s *shares) release(name string, well bool) (recovered bool) {
	h := s.used[name]
	h.handedOut--
	if well {
		recovered = h.failures >= manyFailures
		h.failures = 0
		h.halvings = max(0, h.halvings-1)
	} else {
		h.failures++
		h.halvings = min(bits.Len(uint(s.widest))-1, h.halvings+1)
	}
	if h.handedOut == 0 && h.halvings == 0 {
		delete(s.used, name)
	}
	return recovered
}

func (s *shares) reset() { clear(s.used) }
