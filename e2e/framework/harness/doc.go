// Package harness is what the black-box tests are made of: a control plane that they share, the controller under test as
// a process (ours or the built-in one, by the environment), and for each test a scene of its own with a namespace, nodes
// and a watch that knows when each pod began to go.
//
// Measuring. An action, such as tainting a node, happens at some instant between its request and the answer: a moment of package timing.
// A pod went at the latest when the watch told us, so "never early" compares the arrival of that event with the time just
// before the request was sent; "not late" compares it with the time of the answer.
//
// Waiting. Nothing here sleeps to let things happen: it waits for an event of the watch, or polls, until a deadline; and
// that nothing happens is seen by watching for a bounded time.
package harness
