package apitest

import (
	"encoding/json"
	"net/http"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// patchEvent merges a patch into an Event. What the patch does not name stays.
func (s *Server) patchEvent(event *v1.Event, body []byte) *http.Response {
	event = event.DeepCopy()
	if err := json.Unmarshal(body, event); err != nil {
		return Failure(apierrors.NewBadRequest(err.Error()))
	}
	s.store("events", event)
	return success(event)
}

// RemoveEvents takes all Events away, as when they expire.
func (s *Server) RemoveEvents() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, event := range s.objects["events"] {
		s.remove("events", event)
	}
}
