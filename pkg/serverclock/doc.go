// Package serverclock relates the clock of the API server to time as this process measures it.
//
// API objects carry times of the API server's clock. Comparing them with the wall clock of this machine makes evictions
// early where that clock is ahead, and late where it is behind or is set. So the controller never reads the wall clock to
// decide anything. It has one steady timeline of its own, and converts API times to it.
//
//   - [NewSteady] is that timeline: the wall clock as it was when the process started, and from then on what the
//     monotonic clock has counted. Setting the wall clock does not move it.
//   - [Clock] knows how far the API server's clock is ahead of the steady one, to within a bound, from the Date header of
//     the API server's answers.
//
// # Guarantees
//
//   - The API server's clock lies within the bound, if its clock and ours run at rates that differ by at most 200 parts per
//     million, and is not set. Each answer bounds it from both sides: it was made between the moment at which the request
//     was sent and the moment at which the answer came, and Date is cut to the second.
//   - In doubt the later time counts: [Clock.Local] is the latest moment at which the API server's clock can have shown a
//     time, and [Clock.Earliest] the least that it can show at a moment.
//   - Several API servers may have different clocks, and one clock may be set. Answers that contradict what is known are
//     kept beside it for ten minutes, and the clock that is furthest behind counts.
//   - While no answer had a Date, the two clocks count as equal.
package serverclock
