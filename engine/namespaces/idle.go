package namespaces

import (
	"cmp"
	"slices"
	"time"
)

// keep closes stores that are idle, until the pool is closed.
func (p *Pool) keep() {
	ticks := p.opts.ticks
	if ticks == nil {
		ticker := time.NewTicker(p.opts.IdleTimeout / 4)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticks:
			p.closeIdle()
		}
	}
}

// closeIdle closes the stores that are idle for too long, and those that are too
// many, and waits for that.
func (p *Pool) closeIdle() {
	p.mu.Lock()
	since := p.now() - p.opts.IdleTimeout
	var closing []*transition
	for s := range p.open {
		if s.idle(since) && p.closeUnleased(s) {
			closing = append(closing, s.busy)
		}
	}
	closing = append(closing, p.closeExcess()...)
	p.mu.Unlock()
	for _, t := range closing {
		<-t.done
	}
}

// closeExcess begins to close as many stores as are open beyond the limit, the least
// recently used first, and none that is leased. mu is held.
func (p *Pool) closeExcess() (closing []*transition) {
	if len(p.open) <= p.opts.MaxOpen {
		return nil
	}
	var unleased []*slot
	for s := range p.open {
		if s.refs.Load() == 0 {
			unleased = append(unleased, s)
		}
	}
	slices.SortFunc(unleased, func(a, b *slot) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	for _, s := range unleased {
		if len(p.open) <= p.opts.MaxOpen {
			break
		}
		if p.closeUnleased(s) {
			closing = append(closing, s.busy)
		}
	}
	return closing
}
