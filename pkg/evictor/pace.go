package evictor

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
)

const (
	// firstSlots is how many evictions go on at the same time before anything is known, and fewestSlots how few at least.
	firstSlots, fewestSlots = 20, 4
	// A window is so many evictions, at least, and so many for each slot. It is full where so many of the slots are in use.
	leastWindow, generations = 100, 3
	fullPart                 = 0.8
	// Where half of the slots give less than scarce of the rate with all of them, twice as many may give more than they do. Where
	// they give more than idle, there are too many: the API server's answers only take longer.
	scarce, idle = 0.85, 0.95
	// holdFor is how long a number that is right is left alone, and restFor one that has just become smaller.
	holdFor, restFor = 30 * time.Second, 3 * time.Second
)

// Pace finds out how many evictions do good at the same time. With too few the API server waits for us; with too many its
// answers only take longer, for all its clients. So now and then, while all slots are in use, it looks how many evictions per
// second half of them give. It is safe for concurrent use.
type Pace struct {
	clock clock.PassiveClock
	most  int

	lock    sync.Mutex
	slots   int
	running int
	// before is how many slots there were before the API server had too much to do, until there are as many again, and well
	// counts what has gone well since the last step of the way there.
	before, well int
	// halved is set while half of the slots are tried, and whole is how many evictions per second all of them gave.
	halved bool
	whole  float64
	// next is when to try again.
	next   time.Time
	window window
}

// window counts evictions. Those that began before it, and one for each slot after them, are skipped: they do not go on beside as many
// others as there are slots now.
type window struct {
	skip, done int
	began      time.Time
	// busy is the sum of how many evictions went on at each end of one.
	busy int
}

// NewPace returns a pace that never has more than so many evictions at the same time.
func NewPace(clock clock.PassiveClock, most int) *Pace {
	p := &Pace{clock: clock, most: most, slots: min(most, firstSlots)}
	p.begin(false)
	return p
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
}

// End notes that an attempt has ended, with an error, or with the pod deleted or not. It returns how many may go on from now on.
func (p *Pace) End(deleted bool, err error) int {
	p.lock.Lock()
	defer p.lock.Unlock()
	running := p.running
	p.running--
	switch {
	case isTooMuch(err):
		p.shrink(p.slots / 2)
	case err != nil || !deleted:
	case p.before > 0:
		p.comeBack()
	default:
		p.count(running)
	}
	return p.allowed()
}

// Overloaded notes that the API server has too much to do, as what is not an error can show too.
func (p *Pace) Overloaded() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.shrink(p.slots / 2)
}

// count counts an eviction while so many went on.
func (p *Pace) count(running int) {
	w := &p.window
	if w.skip > 0 {
		w.skip--
		w.began = p.clock.Now()
		return
	}
	w.done++
	w.busy += running
	if w.done >= max(leastWindow, generations*p.allowed()) {
		now := p.clock.Now()
		full := float64(w.busy) >= fullPart*float64(w.done*p.allowed())
		p.judge(now, float64(w.done)/now.Sub(w.began).Seconds(), full)
	}
}

// judge looks at the rate of a window.
func (p *Pace) judge(now time.Time, rate float64, full bool) {
	switch {
	case !full, !p.halved && now.Before(p.next):
		p.begin(false)
	case !p.halved:
		p.whole = rate
		p.begin(true)
	case rate > idle*p.whole:
		p.settle(p.slots*3/4, now.Add(restFor))
	case rate < scarce*p.whole:
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
	p.halved = halved
	p.window = window{skip: p.running + p.allowed()}
}

// isTooMuch says whether an error is that of an API server that has too much to do.
func isTooMuch(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		errors.Is(err, context.DeadlineExceeded)
}
