package evictor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

const (
	// firstSlots is how many evictions go on at the same time before anything is known, and fewestSlots how few at least.
	firstSlots, fewestSlots = 20, 4
	// leastWindow is how many evictions are measured together, at least.
	leastWindow = 64
	// An API server that has all the work it can do answers half as many in half the time. Where halving the slots makes the
	// calls faster by a factor below scarce, it could do more at once; above idle, half would do nearly as much.
	scarce, idle = 1.75, 1.9
	// holdFor is how long a number that is right is left alone.
	holdFor = 30 * time.Second
)

// Pace finds out how many evictions do good at the same time. With too few the API server waits for us; with too many its
// answers only take longer, for all its clients. So now and then, while all slots are in use, it looks whether half of them
// would do. It is safe for concurrent use.
type Pace struct {
	clock clock.PassiveClock
	most  int

	lock    sync.Mutex
	slots   int
	running int
	// before is how many slots there were before the API server had too much to do, until there are as many again, and well
	// counts what has gone well since the last step of the way there.
	before, well int
	// halved is set while half of the slots are tried, and whole is how long calls took with all of them.
	halved bool
	whole  time.Duration
	// next is when to try again.
	next time.Time
	// window is how long the calls of each eviction took; skip is how many are still to come that began before it, and full
	// says that all slots were in use in it.
	window []time.Duration
	skip   int
	full   bool
}

// NewPace returns a pace that never has more than so many evictions at the same time.
func NewPace(clock clock.PassiveClock, most int) *Pace {
	return &Pace{clock: clock, most: most, slots: min(most, firstSlots)}
}

// Slots is how many evictions may go on at the same time.
func (p *Pace) Slots() int {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.allowed()
}

func (p *Pace) allowed() int {
	if p.halved {
		return max(1, p.slots/2)
	}
	return p.slots
}

// Begin notes that an attempt begins.
func (p *Pace) Begin() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.running++
	p.full = p.full || p.running >= p.allowed()
}

// End notes that an attempt has ended: with an error, or how long its calls took if the pod was deleted, and otherwise zero.
// It returns how many may go on from now on.
func (p *Pace) End(calls time.Duration, err error) int {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.running--
	switch {
	case isTooMuch(err):
		p.shrink(p.slots / 2)
	case err != nil || calls == 0:
	case p.before > 0:
		p.comeBack()
	case p.skip > 0:
		p.skip--
	default:
		if p.window = append(p.window, calls); len(p.window) >= max(leastWindow, p.allowed()) {
			p.judge(p.clock.Now())
		}
	}
	return p.allowed()
}

// judge looks at a window by its median: a few pods whose deletion takes long, because of a webhook for one namespace say, tell
// nothing of the rest.
func (p *Pace) judge(now time.Time) {
	slices.Sort(p.window)
	median, full := p.window[len(p.window)/2], p.full
	switch gain := float64(p.whole) / float64(median); {
	case !full, !p.halved && now.Before(p.next):
		p.begin(false)
	case !p.halved:
		p.whole = median
		p.begin(true)
	case gain > idle:
		p.settle(p.slots*3/4, now)
	case gain < scarce:
		p.settle(p.slots*2, now)
	default:
		p.settle(p.slots, now.Add(holdFor))
	}
}

// shrink takes slots away because the API server had too much to do. They come back as soon as it has not.
func (p *Pace) shrink(slots int) {
	p.before, p.well = max(p.before, p.slots), 0
	p.slots = min(p.most, max(fewestSlots, slots))
	p.begin(false)
}

// comeBack doubles the slots when as many evictions in a row have gone well, up to as many as there were.
func (p *Pace) comeBack() {
	if p.well++; p.well < p.slots {
		return
	}
	p.slots, p.well = min(p.before, 2*p.slots), 0
	if p.slots == p.before {
		p.before = 0
		p.begin(false)
	}
}

// settle sets the number of slots, and when to look whether it is right.
func (p *Pace) settle(slots int, next time.Time) {
	if slots = min(p.most, max(fewestSlots, slots)); slots == p.slots {
		next = p.clock.Now().Add(holdFor) // it cannot change
	}
	p.slots, p.next = slots, next
	p.begin(false)
}

// begin begins a new window.
func (p *Pace) begin(halved bool) {
	p.halved, p.window, p.skip, p.full = halved, p.window[:0], p.running, false
}

// isTooMuch says whether an error is that of an API server that has too much to do.
func isTooMuch(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		errors.Is(err, context.DeadlineExceeded)
}
