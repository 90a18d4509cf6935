/*
Copyright The taint-manager Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package startstore

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

// maxSize is the maximum size of the data in bytes. The API limits the encoded object to 1 MiB.
const maxSize = 768 << 10

// confirmedUntil is the annotation with the API time up to which all records are confirmed.
const confirmedUntil = "taint-manager.io/confirmed-until"

// encode returns an entry for each record, as many as there is room for. The oldest come first, because they have the most
// to lose.
func encode(logger klog.Logger, records map[string]taintstart.Record) map[string]string {
	names := make([]string, 0, len(records))
	for name := range records {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(oldest(records[a]).Compare(oldest(records[b])), cmp.Compare(a, b))
	})
	data, size := make(map[string]string, len(names)), 0
	for i, name := range names {
		entry, err := json.Marshal(records[name])
		if err != nil {
			logger.Error(err, "Cannot encode the record of a node", "node", klog.KRef("", name))
			continue // a year after 9999
		}
		if size += len(name) + len(entry); size > maxSize {
			logger.V(1).Info("Not enough room in the ConfigMap for all records", "omitted", len(names)-i)
			break
		}
		data[name] = string(entry)
	}
	return data
}

// oldest returns the earliest start in a record.
func oldest(r taintstart.Record) time.Time {
	var first time.Time
	earlier := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, start := range r.Starts {
		earlier(start.Time)
	}
	for _, period := range r.Periods {
		earlier(period.Time)
	}
	return first
}

// Decode returns the records in a ConfigMap. Entries that cannot be parsed are omitted.
func Decode(logger klog.Logger, config *v1.ConfigMap) taintstart.Records {
	records := taintstart.Records{Nodes: make(map[string]taintstart.Record, len(config.Data))}
	if until, err := time.Parse(time.RFC3339Nano, config.Annotations[confirmedUntil]); err == nil {
		records.ConfirmedUntil = until
	}
	for name, entry := range config.Data {
		var r taintstart.Record
		if err := json.Unmarshal([]byte(entry), &r); err != nil || r.UID == "" {
			logger.V(2).Info("Ignoring an entry that cannot be parsed", "node", klog.KRef("", name), "error", err)
			continue
		}
		records.Nodes[name] = r
	}
	return records
}
