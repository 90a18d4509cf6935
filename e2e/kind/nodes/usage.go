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

package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// usageScript prints "name value" lines for the container whose ID it is given: its processes are known by their cgroup,
// whose files differ between the versions of cgroups.
const usageScript = `
for f in $(find /sys/fs/cgroup -path "*$1*" \( -name memory.peak -o -name memory.max_usage_in_bytes \)); do echo "peak $(cat "$f")"; done
for f in $(find /sys/fs/cgroup -path "*$1*" -name cpuacct.usage); do echo "cpu $(cat "$f")"; done
for f in $(find /sys/fs/cgroup -path "*$1*" -name cpu.stat); do awk '$1 == "usage_usec" {print "cpu " $2 "000"}' "$f"; done
for p in $(find /sys/fs/cgroup -path "*$1*" -name cgroup.procs -exec cat {} + | sort -un | head -1); do
  awk '/^VmHWM/ {print "rss " $2 * 1024}' "/proc/$p/status"
done
`

// Usage is what one of our pods has used since its container started.
type Usage struct {
	Pod, Node string
	// PeakRSS is of the process. PeakMemory is what a limit is compared with: it counts the files that are cached, too.
	PeakRSS, PeakMemory int64
	CPU                 time.Duration
	Age                 time.Duration
}

// String is one line for people.
func (u Usage) String() string {
	const mebibyte = 1 << 20
	return fmt.Sprintf("%s on %s: peak %d MiB resident, %d MiB in its cgroup; %.1f s of CPU in %.0f s (%.0f m on average)",
		u.Pod, u.Node, u.PeakRSS/mebibyte, u.PeakMemory/mebibyte, u.CPU.Seconds(), u.Age.Seconds(),
		1000*u.CPU.Seconds()/u.Age.Seconds())
}

// Usages are those of the pods that a label selector chooses.
func (c Cluster) Usages(ctx context.Context, namespace, selector string) ([]Usage, error) {
	text, err := c.Kubectl(ctx, "-n", namespace, "get", "pods", "-l", selector, "-o", "json")
	if err != nil {
		return nil, err
	}
	var pods corev1.PodList
	if err := json.Unmarshal([]byte(text), &pods); err != nil {
		return nil, fmt.Errorf("what kubectl says of pods %s: %w", selector, err)
	}
	var usages []Usage
	for i := range pods.Items {
		pod := &pods.Items[i]
		if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Running == nil {
			continue
		}
		usage, err := c.usage(ctx, pod)
		if err != nil {
			return nil, err
		}
		usages = append(usages, usage)
	}
	return usages, nil
}

func (c Cluster) usage(ctx context.Context, pod *corev1.Pod) (Usage, error) {
	status := &pod.Status.ContainerStatuses[0]
	usage := Usage{Pod: pod.Name, Node: pod.Spec.NodeName, Age: time.Since(status.State.Running.StartedAt.Time)}
	_, id, _ := strings.Cut(status.ContainerID, "://")
	text, err := c.Script(ctx, pod.Spec.NodeName, usageScript, id)
	if err != nil {
		return usage, err
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return usage, fmt.Errorf("usage of pod %s: %q is no number in %q", pod.Name, value, text)
		}
		switch name {
		case "peak":
			usage.PeakMemory = max(usage.PeakMemory, number)
		case "cpu":
			usage.CPU = max(usage.CPU, time.Duration(number))
		case "rss":
			usage.PeakRSS = max(usage.PeakRSS, number)
		}
	}
	return usage, nil
}
