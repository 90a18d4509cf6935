package evictionqueue

// entryHeap is a heap of entries in some order. It implements heap.Interface. An entry is in one heap at a time, and knows
// its place there.
type entryHeap struct {
	entries []*entry
	before  func(a, b *entry) bool
}

func (h *entryHeap) first() *entry { return h.entries[0] }

func (h *entryHeap) Len() int           { return len(h.entries) }
func (h *entryHeap) Less(i, j int) bool { return h.before(h.entries[i], h.entries[j]) }

func (h *entryHeap) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].index, h.entries[j].index = int32(i), int32(j)
}

func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.index = int32(len(h.entries))
	h.entries = append(h.entries, e)
}

func (h *entryHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	return e
}
