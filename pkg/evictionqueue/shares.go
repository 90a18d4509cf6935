package evictionqueue

// shares say how many pods of each node, or of each namespace, may be handed out at the same time: at most widest, and fewer
// for one whose attempts fail. An attempt that hangs holds its slot until a timeout, so without that a few that are blocked
// would hold all slots between them. Halving at each failure and widening by one at each success finds what goes through.
type shares struct {
	widest int
	used   map[string]*holding
}

// holding is what is known of one that has pods handed out, or had failures. All others have the widest share.
type holding struct {
	handedOut, limit int
}

func (s *shares) exhausted(name string) bool {
	h := s.used[name]
	return h != nil && h.handedOut >= h.limit
}

func (s *shares) use(name string) {
	if s.used[name] == nil {
		s.used[name] = &holding{limit: s.widest}
	}
	s.used[name].handedOut++
}

func (s *shares) release(name string, well bool) {
	h := s.used[name]
	h.handedOut--
	if well {
		h.limit = min(s.widest, h.limit+1)
	} else {
		h.limit = max(1, h.limit/2)
	}
	if h.handedOut == 0 && h.limit == s.widest {
		delete(s.used, name)
	}
}

func (s *shares) reset() { clear(s.used) }
