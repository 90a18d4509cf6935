// Package connection tells errors of the connection to the API server from what the API server answers.
package connection

import (
	"errors"
	"net/url"
)

// Failed reports whether a call did not reach the API server, or its answer did not reach us. An answer, whatever it says, is
// an apierrors.APIStatus and no such error.
func Failed(err error) bool {
	var failure *url.Error
	return errors.As(err, &failure)
}

// TimedOut reports whether that is because the time of the call was over.
func TimedOut(err error) bool {
	var failure *url.Error
	return errors.As(err, &failure) && failure.Timeout()
}
