package harness

import "testing"

func TestWatchListEnabled(t *testing.T) {
	const others = "# TYPE kubernetes_feature_enabled gauge\n" +
		"kubernetes_feature_enabled{name=\"WatchListClient\",stage=\"BETA\"} 1\n" +
		"kubernetes_feature_enabled{name=\"APIListChunking\",stage=\"\"} 1\n"
	for text, want := range map[string]bool{
		others: false,
		others + "kubernetes_feature_enabled{name=\"WatchList\",stage=\"ALPHA\"} 0\n": false,
		others + "kubernetes_feature_enabled{name=\"WatchList\",stage=\"BETA\"} 1\n":  true,
		others + "kubernetes_feature_enabled{name=\"WatchList\",stage=\"\"} 1\n":      true,
	} {
		if got := watchListEnabled([]byte(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
